"""How well a network recognises actions: views, scores, metrics and the sum of heads."""

from ._fusion import DEFAULT_WEIGHTS as DEFAULT_WEIGHTS
from ._fusion import fit_head_weights as fit_head_weights
from ._fusion import fuse_heads as fuse_heads
from ._fusion import head_weights as head_weights
from ._metrics import Metrics as Metrics
from ._metrics import mean_class_accuracy as mean_class_accuracy
from ._metrics import measure as measure
from ._metrics import top_k_accuracy as top_k_accuracy
from ._scores import Scores as Scores
from ._scores import load_scores as load_scores
from ._scores import save_scores as save_scores
from ._scoring import Failure as Failure
from ._scoring import score_index as score_index
from ._views import Views as Views
from ._views import phases as phases
from ._views import score_snippets as score_snippets
from ._views import snippets_of as snippets_of
