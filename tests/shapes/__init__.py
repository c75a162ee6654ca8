"""Whether what leaves the gateway has the shape that its API publishes.

The shapes are those of the official `openai` and `anthropic` packages, which are generated from
the vendors' API descriptions, read strictly; and rules of our own where the packages forgive
more than the API promises.
"""

from tests.shapes.answers import check_answer
from tests.shapes.errors import check_error
from tests.shapes.events import check_event
from tests.shapes.members import OutOfShape
from tests.shapes.streams import check_stream
from tests.shapes.traffic import Asked, check_traffic

__all__ = [
    "Asked",
    "OutOfShape",
    "check_answer",
    "check_error",
    "check_event",
    "check_stream",
    "check_traffic",
]
