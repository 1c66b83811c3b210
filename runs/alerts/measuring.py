"""What a rule's metric is right now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from runs.alerts.models import AlertRule
from runs.alerts.watched import HEALTH
from runs.analytics.expectations import standards_of
from runs.analytics.health import judge
from runs.analytics.measures import Measures
from runs.analytics.metrics import METRICS
from runs.analytics.models import Counted
from runs.analytics.reading import Question, measured
from runs.analytics.sources import is_anything_unmarked
from runs.analytics.windows import FIXED, Period, Window, floor

STALE = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a metric is over a rule's window.

    :ivar value: ``None`` where there is nothing to tell.
    :ivar runs: that ended in it.
    """

    value: float | None
    runs: int


class Readings:
    """What rules ask at one moment: equal questions are asked once.

    :param instant: the moment.
    """

    def __init__(self, instant: datetime) -> None:
        self._end = floor(instant, Period.MOMENT) + FIXED[Period.MOMENT]
        self._known: dict[tuple[Question, Window], Measures] = {}

    def of(self, rule: AlertRule) -> Reading:
        measures = self._measures(rule)
        if rule.metric == HEALTH:
            return Reading(judge(measures, standards_of(rule.project_id)).score, measures.runs)
        return Reading(METRICS[rule.metric].value(measures), measures.runs)

    def _measures(self, rule: AlertRule) -> Measures:
        question = Question(
            project_id=rule.project_id,
            assistant_ids=None if rule.assistant_id is None else (rule.assistant_id,),
            environment=rule.environment,
        )
        asked = question, Window(self._end - timedelta(minutes=rule.window_minutes), self._end)
        if asked not in self._known:
            self._known[asked] = measured(*asked)
        return self._known[asked]


def is_up_to_date(instant: datetime) -> bool:
    """Whether roll-ups tell what happened until just now: of old ones no rule may say that all is well, or not.

    Where everything is counted, the last time that something was may be long ago.
    """
    return Counted.objects.filter(at__gte=instant - STALE).exists() or not is_anything_unmarked()
