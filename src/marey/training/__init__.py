"""Training: one visible loop for TSN and for OFF on top of it."""

from ._clips import Learnt as Learnt
from ._clips import discard_runs as discard_runs
from ._clips import fit_clips as fit_clips
from ._gather import Clips as Clips
from ._gather import gather_clips as gather_clips
from ._loop import Outcome as Outcome
from ._loop import fit as fit
from ._losses import losses_of as losses_of
from ._optim import build_optimiser as build_optimiser
from ._optim import learning_rate as learning_rate
from ._optim import parameter_groups as parameter_groups
from ._optim import set_learning_rate as set_learning_rate
from ._run_folder import Progress as Progress
from ._run_folder import RunFolder as RunFolder
