"""The work of many computers, which Ray has joined to a cluster."""

from ._predicting import Looking as Looking
from ._predicting import predictions as predictions
from ._ray import Cluster as Cluster
from ._scoring import Scoring as Scoring
from ._scoring import answers as answers
