"""A run as JUnit XML, which CI systems show: a test case for each sample."""

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from evals.report import Report
from evals.tasks import TASKS

# XML 1.0 has no place for the others, escaped or not.
_UNFIT = {code: None for code in (*range(32), 0xFFFE, 0xFFFF) if code not in (9, 10, 13)}


def to_junit(told: Report, shortfalls: Sequence[str] = ()) -> str:
    """The document: a failure for a sample that was not done well, skipped for one that is not scored.

    The last case is the run as a whole: it fails with what fell short. Samples alone fail no run.
    """
    suite = ET.Element("testsuite", name=f"jobx eval {told.task}", tests=str(len(told.results) + 1))
    task, failed = TASKS[told.task], 0
    for result in told.results:
        seconds = result.output.milliseconds / 1000 if result.output else 0.0
        name = f"{result.id} [{result.epoch}]" if result.epoch else result.id
        case = ET.SubElement(suite, "testcase", classname=told.task, name=_fit(name), time=f"{seconds:.3f}")
        if result.not_scored is not None:
            ET.SubElement(case, "skipped", message=_fit(f"not scored: {result.not_scored}"))
        elif task.passes(result.scores) is False:
            scores = ", ".join(f"{name} {value:.3g}" for name, value in result.scores.items())
            ended = f"{result.output.outcome} ({result.output.reason})" if result.output else ""
            ET.SubElement(case, "failure", message=_fit(scores)).text = _fit(ended)
            failed += 1
    whole = ET.SubElement(suite, "testcase", classname=told.task, name="thresholds")
    if shortfalls:
        ET.SubElement(whole, "failure", message=_fit("; ".join(shortfalls)))
        failed += 1
    suite.set("failures", str(failed))
    suite.set("skipped", str(told.not_scored))
    return ET.tostring(suite, encoding="unicode", xml_declaration=True)


def _fit(text: str) -> str:
    return text.translate(_UNFIT).encode("utf-8", "replace").decode()
