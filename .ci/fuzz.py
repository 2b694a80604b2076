"""What `.ci/api fuzz` holds against every answer: none may be a fault of ours."""

import schemathesis

FAULTS = {"INTERNAL_SERVER_ERROR", "SERVICE_UNAVAILABLE", "TIMEOUT"}


@schemathesis.check
def no_fault_of_ours(_context, response, _case):
    """Refusals are fine, whatever they refuse. A 5xx is not, and neither is an error without a code."""
    assert response.status_code < 500, f"HTTP {response.status_code}"
    for error in response.json().get("errors", []):
        code = error["extensions"]["code"]
        assert code and code not in FAULTS, error
