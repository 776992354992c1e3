"""What may go for what is fetched ahead: only what is colder than that. Pure: the clock is passed in.

An entry that was not read for t seconds is hardly read more than once in t. What is expected in w seconds with a
probability of p is worth its room more than that if w / p is well below t.
"""
from .learner import Prediction

# where nobody predicted it
IDLE_SECONDS = 60.0
# times w / p; less than a second is no measure
FACTOR = 2.0
IDLE_LEAST = 1.0
# of what goes first so many are asked: an order by reads has what has just come at its head
LOOKED_AT = 16


def idle_for(prediction: Prediction, now: float) -> float | None:
    """Seconds without a read after which an entry is colder than what is predicted; None: nobody predicted it."""
    if not prediction.probability:
        return None
    return max(FACTOR * (prediction.at + prediction.wait - now) / prediction.probability, IDLE_LEAST)
