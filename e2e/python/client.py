"""The published Python client against a running keydock: what its users rely on still works.

Takes everything from the environment, so that no key stands in a list of processes:

    KEYDOCK_URL              http://127.0.0.1:8080
    KEYDOCK_ORG              mock_org
    KEYDOCK_KEY              a platform key of the organization
    KEYDOCK_DEPLOYMENT_KEY   a key of the deployment `invoices`, which has the sample workflow

Prints a line for every check, and OK at the end. Ends with 1 at the first check that fails.
"""

import json
import os
import sys
import tempfile
import time
import uuid
from pathlib import Path

from requests.exceptions import RequestException
from unstract.api_deployments._sdk_docstudio.models import (
    PaginatedAPIDeploymentSummaryList,
    WhoAmIResponse,
)
from unstract.api_deployments.client import (
    APIDeploymentsClient,
    PlatformClientError,
    PlatformKeyClient,
    UnstractError,
)

SAMPLES = Path(__file__).resolve().parents[2] / "examples" / "invoices"
INVOICE = str(SAMPLES / "invoice.pdf")
EXPECTED = json.loads((SAMPLES / "expected.json").read_text())
API = "invoices"
NOBODYS_KEY = "00000000-0000-4000-8000-000000000000"
PATIENCE = 60

checks = 0


class Failed(Exception):
    """A check that failed, in words."""


def check(words, condition, found=None):
    """Passes or fails one check. `found` is what there was instead."""
    global checks
    if not condition:
        raise Failed(f"{words}\n  found: {json.dumps(found, default=str)[:2000]}")
    checks += 1
    print(f"ok - {words}", flush=True)


def setting(name, default=None):
    value = os.environ.get(name) or default
    if not value:
        raise Failed(f"{name} is not set; see the head of {__file__}")
    return value


URL = setting("KEYDOCK_URL", "http://127.0.0.1:8080").rstrip("/")
ORG = setting("KEYDOCK_ORG", "mock_org")
PLATFORM_KEY = setting("KEYDOCK_KEY")
DEPLOYMENT_KEY = setting("KEYDOCK_DEPLOYMENT_KEY")


def platform(key):
    return PlatformKeyClient(
        URL, key, max_retries=0, transport_timeout=PATIENCE, logging_level="CRITICAL"
    )


def deployment(key=DEPLOYMENT_KEY, *, api=API, timeout=300, metadata=False):
    return APIDeploymentsClient(
        f"{URL}/deployment/api/{ORG}/{api}/",
        key,
        api_timeout=timeout,
        include_metadata=metadata,
        max_retries=0,
        transport_timeout=timeout + PATIENCE,
        logging_level="ERROR",
    )


def refusal(call):
    """The words with which the client reports a refusal, or None if there was none."""
    try:
        call()
    except PlatformClientError as error:
        return str(error)
    return None


def finished(client, submitted, **flags):
    """Polls until the run is over, as the documentation of the client shows it."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        polled = client.check_execution_status(submitted["status_check_api_endpoint"], **flags)
        if not polled["pending"]:
            return polled
        time.sleep(0.1)
    raise Failed(f"a run was still pending after {PATIENCE} s")


def outputs(answer):
    """What was extracted, file by file."""
    return [item["result"]["output"] for item in answer["extraction_result"]]


def identity():
    me = platform(PLATFORM_KEY).whoami()
    check("whoami tells the organization of the platform key", me["organization_id"] == ORG, me)
    check("whoami fits the model of the client", WhoAmIResponse.from_dict(dict(me)).key_name, me)


def listing():
    page = platform(PLATFORM_KEY).list_deployments(ORG, api_name=API, page=1, page_size=5)
    names = [row["api_name"] for row in page["results"]]
    check("the list has the deployment", page["count"] == 1 and names == [API], page)
    typed = PaginatedAPIDeploymentSummaryList.from_dict(page)
    check("the list fits the model of the client", typed.results[0].api_name == API, page)
    nothing = platform(PLATFORM_KEY).list_deployments(ORG, api_name="no-such-api")
    check("a filter that fits nothing gives nothing", nothing["results"] == [], nothing)


def refused_platform_keys():
    words = refusal(platform(NOBODYS_KEY).whoami)
    check("an unknown platform key is refused with 401", words and "401" in words, words)
    words = refusal(platform(DEPLOYMENT_KEY).whoami)
    check("a deployment key is no platform key", words and "401" in words, words)
    words = refusal(lambda: platform(PLATFORM_KEY).list_deployments("another-organization"))
    check("a platform key opens its own organization only", words and "403" in words, words)


def synchronous():
    answer = deployment().structure_file([INVOICE])
    good = answer["status_code"] == 200 and answer["execution_status"] == "COMPLETED"
    check("a synchronous call completes", good and not answer["pending"], answer)
    item = answer["extraction_result"][0]
    check("the invoice is read", item["status"] == "Success" and item["error"] is None, item)
    check("metadata that nobody asked for is left out", "metadata" not in item["result"], item)
    check("it says what the sample says", outputs(answer) == [EXPECTED], outputs(answer))
    return answer


def asynchronous(synchronous_answer):
    client = deployment(timeout=-1)
    submitted = client.structure_file([INVOICE])
    endpoint = submitted.get("status_check_api_endpoint") or ""
    good = submitted["status_code"] == 200 and submitted["pending"]
    check("an asynchronous call is pending at first", good, submitted)
    where = f"/deployment/api/{ORG}/{API}/?execution_id="
    check("it tells where to ask", endpoint.startswith(where), submitted)
    polled = finished(client, submitted)
    good = polled["status_code"] == 200 and polled["execution_status"] == "COMPLETED"
    check("polling ends with the result", good, polled)
    same = outputs(polled) == outputs(synchronous_answer)
    check("polling gives the same values as waiting", same, outputs(polled))
    again = client.check_execution_status(endpoint)
    good = again["status_code"] == 406 and again["error"] and not again["pending"]
    check("a second read is answered with 406 and the reason", good, again)


def options():
    client = deployment(timeout=-1, metadata=True)
    sent = {"order": 17, "tags": ["a", "b"]}
    submitted = client.structure_file([INVOICE], tags="nightly", custom_data=sent)
    polled = finished(client, submitted, include_metrics=True, include_extracted_text=True)
    item = polled["extraction_result"][0]
    check("custom data comes back", item["metadata"].get("custom_data") == sent, item["metadata"])
    check("the tag comes back", item["metadata"].get("tags") == ["nightly"], item["metadata"])
    check("metadata is there when asked for", "metadata" in item["result"], item["result"])
    check("metrics are there when asked for", "metrics" in item["result"], item["result"])
    number = outputs(polled)[0]["invoice_number"]
    check("the text is there when asked for", number in item.get("extracted_text", ""), item)
    answer = client.structure_file([INVOICE], timeout=0)
    check("a timeout of 0 is asynchronous too", answer["pending"], answer)
    finished(client, answer)


def several_files():
    sample = Path(INVOICE).read_bytes()
    number = EXPECTED["invoice_number"]
    # Other numbers of the same length: the files stay whole.
    sent = ["A" + number[1:], "B" + number[1:]]
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for other in sent:
            path = Path(folder) / other / "document.pdf"
            path.parent.mkdir()
            path.write_bytes(sample.replace(number.encode(), other.encode()))
            paths.append(str(path))
        broken = Path(folder) / "broken.pdf"
        broken.write_bytes(b"%PDF-1.7\nnothing else")
        answer = deployment().structure_file([*paths, str(broken)])
        alone = deployment().structure_file([str(broken)])
    items = answer["extraction_result"]
    names = [item["file"] for item in items]
    expected = ["document.pdf", "document.pdf", "broken.pdf"]
    check("every file has an item, in order", names == expected, answer)
    good = answer["status_code"] == 200 and answer["execution_status"] == "COMPLETED"
    check("a broken file does not keep the others from completing", good, answer)
    good = items[2]["status"] == "Failed" and items[2]["error"]
    check("a broken file fails with a reason", good, items[2])
    numbers = [item["result"]["output"]["invoice_number"] for item in items[:2]]
    check("files of one name are not mixed up", numbers == sent, items)
    good = alone["status_code"] == 422 and alone["execution_status"] == "ERROR"
    check("a run in which every file failed is 422", good and alone["error"], alone)


def refused_deployment_keys():
    for name, key in (("an unknown key", NOBODYS_KEY), ("a platform key", PLATFORM_KEY)):
        for way, timeout in (("waiting", 300), ("polling", -1)):
            answer = deployment(key, timeout=timeout).structure_file([INVOICE])
            good = answer["status_code"] == 401 and answer["error"] and not answer["pending"]
            check(f"{name} is refused with 401 and a reason, {way}", good, answer)
    answer = deployment(NOBODYS_KEY, api="no-such-api").structure_file([INVOICE])
    check("an unknown key does not learn which APIs exist", answer["status_code"] == 401, answer)


def refused_requests():
    client = deployment()
    answer = client.structure_file([INVOICE], timeout=301)
    good = answer["status_code"] == 400 and "300" in answer["error"]
    check("a timeout that is too long is refused with the limit", good, answer)
    answer = client.structure_file([])
    check("a call without files is refused with 400", answer["status_code"] == 400, answer)
    endpoint = f"/deployment/api/{ORG}/{API}/?execution_id={uuid.uuid4()}"
    answer = client.check_execution_status(endpoint)
    good = answer["status_code"] == 404 and answer["error"] and not answer["pending"]
    check("a run that does not exist is 404", good, answer)


def main():
    identity()
    listing()
    refused_platform_keys()
    asynchronous(synchronous())
    options()
    several_files()
    refused_deployment_keys()
    refused_requests()
    print(f"OK ({checks} checks)")


if __name__ == "__main__":
    try:
        main()
    except (Failed, UnstractError, RequestException) as error:
        sys.exit(f"not ok - {error}")
