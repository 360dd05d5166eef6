"""Networks: temporal segment networks, with and without optical-flow guided features."""

from ._bundled import bundled_models as bundled_models
from ._bundled import load_named as load_named
from ._checkpoint import load_model as load_model
from ._checkpoint import save_checkpoint as save_checkpoint
from ._device import choose_device as choose_device
from ._initial_weights import averaged_over_colours as averaged_over_colours
from ._initial_weights import load_imagenet as load_imagenet
from ._initial_weights import start_from_rgb as start_from_rgb
from ._off import OFF as OFF
from ._off import Network as Network
from ._tensors import load_tensors as load_tensors
from ._tensors import refuse_code as refuse_code
from ._tensors import save_tensors as save_tensors
from ._tsn import BACKBONE_CHANNELS as BACKBONE_CHANNELS
from ._tsn import SNIPPET_CHANNELS as SNIPPET_CHANNELS
from ._tsn import TSN as TSN
from ._tsn import Modality as Modality
from ._zoo import OFF_NETWORKS as OFF_NETWORKS
from ._zoo import TSN_NETWORKS as TSN_NETWORKS
from ._zoo import SpatialGradient as SpatialGradient
from ._zoo import build_model as build_model
from ._zoo import for_inference as for_inference
from ._zoo import off_bn_inception as off_bn_inception
from ._zoo import off_efficientnet_lite0 as off_efficientnet_lite0
from ._zoo import tsn_bn_inception as tsn_bn_inception
from ._zoo import tsn_efficientnet_lite0 as tsn_efficientnet_lite0
