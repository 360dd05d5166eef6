"""Networks from the files of others: of Caffe, and of PyTorch. Nothing in such a file is run."""

from ._assemble import Imported as Imported
from ._assemble import import_weights as import_weights
from ._classes import read_classes as read_classes
from ._report import Report as Report
