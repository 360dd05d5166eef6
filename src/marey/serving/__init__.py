"""A web page and an HTTP service: videos in, what is done in them out."""

from ._app import Service as Service
from ._limits import Limits as Limits
from ._server import serve as serve
