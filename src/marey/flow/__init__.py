"""Optical flow: computing it, keeping it, reading it back, and drawing it."""

from marey.flow._codec import BOUND as BOUND
from marey.flow._codec import to_bytes as to_bytes
from marey.flow._codec import to_pixels as to_pixels
from marey.flow._computed import ComputedFlow as ComputedFlow
from marey.flow._file import FlowReader as FlowReader
from marey.flow._file import FlowWriter as FlowWriter
from marey.flow._file import Making as Making
from marey.flow._folder import FlowFolder as FlowFolder
from marey.flow._folder import FlowFolderWriter as FlowFolderWriter
from marey.flow._methods import METHODS as METHODS
from marey.flow._methods import Estimator as Estimator
from marey.flow._methods import Method as Method
from marey.flow._methods import flow_estimator as flow_estimator
from marey.flow._methods import making_of as making_of
from marey.flow._picture import flow_picture as flow_picture
from marey.flow._picture import wheel_picture as wheel_picture
from marey.flow._store import SETTINGS as SETTINGS
from marey.flow._store import flow_file as flow_file
from marey.flow._store import flow_folder as flow_folder
from marey.flow._store import open_flow as open_flow
from marey.flow._store import require_flow as require_flow
from marey.flow._store import stored_method as stored_method
