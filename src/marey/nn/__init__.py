"""Layers and backbones of the networks in `marey.models`."""

from ._backbone import Backbone as Backbone
from ._backbone import Maps as Maps
from ._bn_inception import BNInception as BNInception
from ._conv import ConvBN as ConvBN
from ._conv import SameConv2d as SameConv2d
from ._efficientnet_lite import EfficientNetLite as EfficientNetLite
from ._efficientnet_lite import efficientnet_lite0 as efficientnet_lite0
from ._efficientnet_lite import efficientnet_lite2 as efficientnet_lite2
from ._gradients import diagonal_gradient as diagonal_gradient
from ._gradients import diagonal_kernels as diagonal_kernels
from ._gradients import sobel_gradient as sobel_gradient
from ._gradients import temporal_gradient as temporal_gradient
from ._off_branch import OFFBranch as OFFBranch
from ._off_branch import off_branch as off_branch
from ._off_unit import Gradient as Gradient
from ._off_unit import Gradients as Gradients
from ._off_unit import OFFUnit as OFFUnit
from ._ordered_branch import ORDER as ORDER
from ._ordered_branch import OrderedBranch as OrderedBranch
from ._ordered_branch import lateness as lateness
from ._pooled_branch import SUMS as SUMS
from ._pooled_branch import PooledBranch as PooledBranch
from ._port_branch import port_branch as port_branch
from ._split_branch import Shares as Shares
from ._split_branch import SplitBranch as SplitBranch
from ._standardise import standardise as standardise
