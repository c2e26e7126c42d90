"""The published SDK for tools against a running keydock: what tools rely on still works.

Takes everything from the environment, so that no key stands in a list of processes:

    KEYDOCK_URL              http://127.0.0.1:8080
    KEYDOCK_ORG              mock_org
    KEYDOCK_KEY              a platform key of the organization, which is switched off at the end
    KEYDOCK_DEPLOYMENT_KEY   any deployment key

Prints a line for every check, and OK at the end. Ends with 1 at the first check that fails.
"""

import json
import logging
import os
import sys
import uuid

import requests

URL = os.environ.get("KEYDOCK_URL", "http://127.0.0.1:8080").rstrip("/")
ORG = os.environ.get("KEYDOCK_ORG", "mock_org")
PLATFORM_KEY = os.environ["KEYDOCK_KEY"]
DEPLOYMENT_KEY = os.environ["KEYDOCK_DEPLOYMENT_KEY"]
NOBODYS_KEY = "00000000-0000-4000-8000-000000000000"
HOST, _, PORT = URL.rpartition(":")

# What the SDK wants to find when it is loaded.
os.environ["PLATFORM_SERVICE_HOST"] = HOST
os.environ["PLATFORM_SERVICE_PORT"] = PORT
os.environ["PLATFORM_SERVICE_MAX_RETRIES"] = "1"

from unstract.sdk.adapter import ToolAdapter  # noqa: E402
from unstract.sdk.audit import Audit  # noqa: E402
from unstract.sdk.cache import ToolCache  # noqa: E402
from unstract.sdk.exceptions import SdkError  # noqa: E402
from unstract.sdk.platform import PlatformHelper  # noqa: E402
from unstract.sdk.tool.stream import StreamMixin  # noqa: E402
from unstract.sdk.utils.token_counter import TokenCounter  # noqa: E402

logging.disable(logging.CRITICAL)
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


class Tool(StreamMixin):
    """A tool, as one writes it with the SDK, that remembers what it says."""

    def __init__(self, key=PLATFORM_KEY):
        super().__init__()
        self.key = key
        self.said = []

    def get_env_or_die(self, env_key):
        if env_key == "PLATFORM_SERVICE_API_KEY":
            return self.key
        return super().get_env_or_die(env_key)

    def stream_log(self, log, level=None, *args, **kwargs):
        self.said.append(str(log))


class Reporter(Audit):
    """What reports use for a tool; it tells of failures in its log only."""

    def __init__(self):
        super().__init__()
        self.said = []

    def stream_log(self, log, level=None, *args, **kwargs):
        self.said.append(str(log))


def platform(key=PLATFORM_KEY, request_id=None):
    return PlatformHelper(Tool(key), HOST, PORT, request_id=request_id)


def cache(key=PLATFORM_KEY):
    return ToolCache(Tool(key), HOST, int(PORT))


def refusal(call):
    """The words with which the SDK reports a refusal, or None if there was none."""
    try:
        call()
    except SdkError as error:
        return str(error)
    return None


def details():
    found = platform().get_platform_details()
    check("the details name the organization", found == {"organization_id": ORG}, found)
    found = platform(request_id=str(uuid.uuid4())).get_platform_details()
    check("with a request id too", found == {"organization_id": ORG}, found)
    found = PlatformHelper(Tool(), HOST + "/", PORT).get_platform_details()
    check("with a slash behind the host too", found["organization_id"] == ORG, found)


def values():
    store = cache()
    for name, value in (
        ("k", "v"),
        ("name with blanks", "text\nof two lines"),
        ("grün+blau=türkis", "ü" * 1000),
        (str(uuid.uuid4()), json.dumps({"a": [1, 2]})),
    ):
        check(f"a value is set: {name}", store.set(name, value) is True, store.tool.said)
        check(f"it is read as it was set: {name}", store.get(name) == value, store.tool.said)
        check(f"it is deleted: {name}", store.delete(name) is True, store.tool.said)
        check(f"then it is not there: {name}", store.get(name) is None, store.tool.said)
        check(f"deleting it again is fine: {name}", store.delete(name) is True, store.tool.said)
    check("the largest value is kept", store.set("large", "x" * 2**20) is True, store.tool.said)
    check("a larger one is not", store.set("large", "x" * (2**20 + 1)) is False, store.tool.said)
    check("the one before is still there", store.get("large") == "x" * 2**20)


def what_is_not_there():
    nothing = str(uuid.uuid4())
    words = refusal(lambda: platform().get_prompt_studio_tool(nothing))
    check("an exported tool that does not exist is told", words and nothing in words, words)
    words = refusal(lambda: platform().get_llm_profile(nothing))
    check("a profile that does not exist is told", words and nothing in words, words)
    words = refusal(lambda: ToolAdapter.get_adapter_config(Tool(), nothing))
    check("an adapter that does not exist is told", words and nothing in words, words)


def reports():
    audit = Reporter()
    audit.push_usage_data(
        PLATFORM_KEY,
        token_counter=TokenCounter(12, 34),
        model_name="a model",
        event_type="llm",
        kwargs={"workflow_id": str(uuid.uuid4()), "llm_usage_reason": "extraction"},
    )
    good = audit.said and "Successfully" in audit.said[-1]
    check("a report of tokens is taken", good, audit.said)
    audit.push_page_usage_data(PLATFORM_KEY, 3, 12345, "application/pdf", {"file_name": "a.pdf"})
    good = "Successfully" in audit.said[-1] and len(audit.said) == 2
    check("a report of pages is taken", good, audit.said)
    audit.push_usage_data(NOBODYS_KEY, TokenCounter(1, 1), "m", "llm", {})
    check("not with an unknown key", "401" in audit.said[-1], audit.said[-1])


def refused_keys():
    for name, key in (("an unknown key", NOBODYS_KEY), ("a deployment key", DEPLOYMENT_KEY)):
        words = refusal(platform(key).get_platform_details)
        check(f"{name} is refused", words and "Unauthorized" in words, words)
        check(f"{name} cannot set a value", cache(key).set("k", "v") is False)
        check(f"{name} cannot read a value", cache(key).get("large") is None)
        words = refusal(lambda key=key: ToolAdapter.get_adapter_config(Tool(key), NOBODYS_KEY))
        check(f"{name} does not learn about adapters", words and NOBODYS_KEY not in words, words)


def a_key_that_was_given_up():
    about = {"token": PLATFORM_KEY}
    bearer = {"Authorization": f"Bearer {PLATFORM_KEY}"}
    told = requests.post(f"{URL}/introspect", data=about, headers=bearer, timeout=30).json()
    check("the key is active", told["active"] is True and told["org"] == ORG, told)
    answer = requests.post(f"{URL}/revoke", data=about, timeout=30)
    check("its holder gives it up", answer.status_code == 200, answer.text)
    words = refusal(platform().get_platform_details)
    check("a key that is switched off is refused", words and "Unauthorized" in words, words)
    check("it cannot read a value any more", cache().get("large") is None)


def main():
    details()
    values()
    what_is_not_there()
    reports()
    refused_keys()
    a_key_that_was_given_up()
    print(f"OK ({checks} checks)")


if __name__ == "__main__":
    try:
        main()
    except (Failed, SdkError, requests.exceptions.RequestException) as error:
        sys.exit(f"not ok - {error}")
