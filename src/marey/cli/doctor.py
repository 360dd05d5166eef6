"""`marey doctor`."""

import json as json_module
import sys
from dataclasses import asdict
from typing import Annotated

from cyclopts import Parameter

from ._printable import printable


def doctor(*, json: bool = False, quiet: Annotated[bool, Parameter(alias="-q")] = False) -> None:
    """Say what works on this computer, found out by trying it.

    Example: `marey doctor`

    The exit code is 1 if something that nothing can do without does not work.

    Args:
        json: Print as JSON.
        quiet: Print only what does not work.
    """
    from marey.diagnosis import diagnose

    findings = diagnose()
    usable = all(finding.works for finding in findings if finding.needed)
    if json:
        document = {"usable": usable, "findings": [asdict(finding) for finding in findings]}
        print(json_module.dumps(document, indent=2))
    else:
        for finding in findings:
            if not (quiet and finding.works):
                mark = "ok" if finding.works else "FAILS" if finding.needed else "-"
                print(printable(f"{mark:5}  {finding.name:17} {finding.detail}"))
    if not usable:
        sys.exit(1)
