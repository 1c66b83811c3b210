"""Versions stay, labels move; what they say differently, and what they would say."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from assistants.prompts import services
from assistants.prompts.models import Prompt, PromptLabel, PromptVersion
from assistants.prompts.services import labels, uses, versions
from assistants.prompts.services.uses import Use
from sovereign.accounts.models import AuditEvent
from sovereign.accounts.principals import Principal
from sovereign.core.errors import ApiError
from tests.prompts.conftest import TEMPLATE, VARIABLES

pytestmark = pytest.mark.django_db


@pytest.fixture
def path(prompt: dict[str, Any]) -> str:
    return f"/api/v1/prompts/{prompt['id']}"


def add(client: APIClient, path: str, **fields: Any) -> dict[str, Any]:
    answer = client.post(f"{path}/versions", fields, format="json")
    assert answer.status_code == 200, answer.content
    made: dict[str, Any] = answer.json()
    return made


def error_of(answer: Any) -> tuple[int, str | None, str | None]:
    error = answer.json()["error"]
    return answer.status_code, error["param"], error["code"]


# ------------------------------------------------------------------------------------------------ versions


def test_a_version_is_added_and_the_one_before_stays(analyst: APIClient, path: str) -> None:
    before = analyst.get(f"{path}/versions/1").json()
    made = add(analyst, path, template="Short. {{ company }}", notes="Shorter.", expected_version=1)
    assert list(made) == [
        "id", "object", "created_at", "prompt_id", "number", "parent", "labels", "template", "variables", "notes",
    ]  # fmt: skip
    assert (made["object"], made["number"], made["parent"], made["notes"]) == ("prompt.version", 2, 1, "Shorter.")
    assert made["variables"] == before["variables"], "what is not sent is as it was"
    assert analyst.get(f"{path}/versions/1").json() == before
    assert analyst.get(path).json()["newest_version"] == 2
    for name in ("2", "newest", made["id"]):
        assert analyst.get(f"{path}/versions/{name}").json() == made
    event = AuditEvent.objects.get(action="prompt.version_added")
    assert event.details == {"name": "Desk", "number": 2}


def test_a_version_is_never_changed(prompt: dict[str, Any]) -> None:
    version = PromptVersion.objects.get()
    version.template = "other"
    with pytest.raises(TypeError, match="never changed"):
        version.save()
    assert PromptVersion.objects.get().template == TEMPLATE


def test_who_comes_second_is_told(analyst: APIClient, path: str) -> None:
    add(analyst, path, template="mine", expected_version=1)
    late = analyst.post(f"{path}/versions", {"template": "yours", "expected_version": 1}, format="json")
    assert error_of(late) == (409, "expected_version", "version_conflict")
    assert "that is 2 by now" in late.json()["error"]["message"]
    assert PromptVersion.objects.count() == 2
    assert AuditEvent.objects.get(action="prompt.add_version_refused").details["code"] == "version_conflict"


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({}, "template", "nothing_changed"),
        ({"template": TEMPLATE, "notes": "the same"}, "template", "nothing_changed"),
        ({"variables": VARIABLES}, "template", "nothing_changed"),
        ({"template": "{{ other }}"}, "template", "unknown_variable"),
        ({"variables": []}, "template", "unknown_variable"),
        ({"template": "{{ company"}, "template", "invalid_template"),
        ({"variables": [{"name": "company", "default": []}, {"name": "company"}]}, "variables[0].default",
         "invalid_variable"),
        ({"template": "y", "expected_version": "1"}, "expected_version", "invalid_type"),
        ({"template": "y", "expected_version": 0}, "expected_version", "integer_below_min_value"),
        ({"template": "y", "based_on": True}, "based_on", "invalid_type"),
        ({"template": "y", "based_on": ""}, "based_on", "invalid_value"),
        ({"template": "y", "number": 7}, "number", "unknown_parameter"),
    ],
)  # fmt: skip
def test_a_wrong_version_is_refused_and_nothing_is_kept(
    analyst: APIClient, path: str, fields: dict[str, Any], param: str, code: str
) -> None:
    assert error_of(analyst.post(f"{path}/versions", fields, format="json")) == (400, param, code)
    assert PromptVersion.objects.count() == 1


def test_an_older_version_becomes_the_newest_again(analyst: APIClient, path: str) -> None:
    add(analyst, path, template="two")
    again = add(analyst, path, based_on="1", notes="Back.")
    assert (again["number"], again["parent"], again["template"]) == (3, 1, TEMPLATE)
    other = add(analyst, path, based_on=2, template="four")
    assert (other["number"], other["parent"]) == (4, 2)
    assert error_of(analyst.post(f"{path}/versions", {"based_on": 99}, format="json"))[0] == 404


def test_versions_are_listed_by_number(analyst: APIClient, path: str) -> None:
    made = [add(analyst, path, template=f"text {number}") for number in range(3)]
    page = analyst.get(f"{path}/versions", {"limit": 2}).json()
    assert [version["number"] for version in page["data"]] == [4, 3]
    assert (page["data"][0], page["has_more"]) == (made[2], True)
    rest = analyst.get(f"{path}/versions", {"after": page["last_id"]}).json()["data"]
    assert [(version["number"], version["parent"]) for version in rest] == [(2, 1), (1, None)]
    oldest = analyst.get(f"{path}/versions", {"order": "asc", "limit": 1}).json()["data"]
    assert oldest[0]["notes"] == "The first."


@pytest.mark.parametrize("name", ["2", "0", "99999999999999999999", "promptv_x", "production", "٣", "-1", "%00"])
def test_an_unknown_version_is_not_found(analyst: APIClient, path: str, name: str) -> None:
    assert analyst.get(f"{path}/versions/{name}").status_code == 404


def test_a_prompt_has_room_for_so_many(analyst: APIClient, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "MAXIMUM_VERSIONS", 1)
    refused = analyst.post(f"{path}/versions", {"template": "y"}, format="json")
    assert refused.json()["error"]["code"] == "too_many_versions"


# ------------------------------------------------------------------------------------------------ labels


def test_a_label_moves_and_versions_stay(analyst: APIClient, path: str, prompt: dict[str, Any]) -> None:
    add(analyst, path, template="two")
    first = analyst.put(f"{path}/labels/production", {"version": 1}, format="json").json()
    assert {key: value for key, value in first.items() if key != "moved_at"} == {
        "id": "production", "object": "prompt.label", "prompt_id": prompt["id"], "version": 1,
        "version_id": PromptVersion.objects.get(number=1).pk,
    }  # fmt: skip
    assert analyst.get(f"{path}/versions/production").json()["number"] == 1
    moved = analyst.put(f"{path}/labels/production", {"version": "newest"}, format="json").json()
    assert moved["version"] == 2
    analyst.put(f"{path}/labels/staging", {"version": "production"}, format="json")
    assert analyst.get(path).json()["labels"] == {"production": 2, "staging": 2}
    assert analyst.get(f"{path}/versions/2").json()["labels"] == ["production", "staging"]
    assert analyst.get(f"{path}/versions/1").json()["labels"] == []
    audited = AuditEvent.objects.filter(action="prompt.label_moved").order_by("created_at", "pk")
    assert [(event.details["before"], event.details["after"]) for event in audited] == [(None, 1), (1, 2), (None, 2)]


def test_labels_are_listed_by_name_and_taken_away(analyst: APIClient, path: str) -> None:
    for name in ("staging", "production", "beta"):
        analyst.put(f"{path}/labels/{name}", {"version": 1}, format="json")
    page = analyst.get(f"{path}/labels", {"order": "asc", "limit": 2}).json()
    assert ([label["id"] for label in page["data"]], page["has_more"]) == (["beta", "production"], True)
    rest = analyst.get(f"{path}/labels", {"order": "asc", "after": "production"}).json()
    assert [label["id"] for label in rest["data"]] == ["staging"]
    gone = analyst.delete(f"{path}/labels/beta")
    assert gone.json() == {"id": "beta", "object": "prompt.label.deleted", "deleted": True}
    assert analyst.delete(f"{path}/labels/beta").status_code == 404
    assert sorted(PromptLabel.objects.values_list("name", flat=True)) == ["production", "staging"]
    assert AuditEvent.objects.get(action="prompt.label_removed").details["label"] == "beta"


@pytest.mark.parametrize("name", ["Production", "1", "newest", "latest", "draft", "a b", "x" * 65, "-a", "promptv_1"])
def test_what_is_no_label_is_refused(analyst: APIClient, path: str, name: str) -> None:
    assert error_of(analyst.put(f"{path}/labels/{name}", {"version": 1}, format="json")) == (
        400, "name", "invalid_value",
    )  # fmt: skip
    assert not PromptLabel.objects.exists()


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [({}, 400, "version"), ({"version": None}, 400, "version"), ({"version": 1.5}, 400, "version"),
     ({"version": 2}, 404, None), ({"version": 10**30}, 400, "version"), ({"version": "nothing"}, 404, None)],
)  # fmt: skip
def test_a_label_points_to_a_version_that_is_there(
    analyst: APIClient, path: str, body: dict[str, Any], status: int, param: str | None
) -> None:
    assert error_of(analyst.put(f"{path}/labels/production", body, format="json"))[:2] == (status, param)
    assert not PromptLabel.objects.exists()


def test_a_label_does_not_point_into_another_prompt(analyst: APIClient, path: str) -> None:
    other = analyst.post("/api/v1/prompts", {"name": "Other", "template": "x"}, format="json").json()
    theirs = PromptVersion.objects.get(prompt=other["id"])
    assert analyst.put(f"{path}/labels/production", {"version": theirs.pk}, format="json").status_code == 404
    assert analyst.get(f"{path}/versions/{theirs.pk}").status_code == 404


def test_a_label_that_is_used_stays(analyst: APIClient, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("production", "beta"):
        analyst.put(f"{path}/labels/{name}", {"version": 1}, format="json")
    use = Use(assistant_id="asst_1", assistant_name="Guide", link_id="link_1", kind="primary", label="production")
    monkeypatch.setattr(uses, "finders", [lambda principal, prompt_id: [use]])
    refused = analyst.delete(f"{path}/labels/production")
    assert error_of(refused) == (400, None, "in_use")
    assert "The label 'production' of 'Desk' is used by Guide" in refused.json()["error"]["message"]
    assert analyst.delete(f"{path}/labels/beta").status_code == 200
    assert PromptLabel.objects.get().name == "production"


def test_a_prompt_has_room_for_so_many_labels(analyst: APIClient, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labels, "MAXIMUM_LABELS", 1)
    analyst.put(f"{path}/labels/production", {"version": 1}, format="json")
    refused = analyst.put(f"{path}/labels/beta", {"version": 1}, format="json")
    assert refused.json()["error"]["code"] == "too_many_labels"
    assert analyst.put(f"{path}/labels/production", {"version": 1}, format="json").status_code == 200


# ------------------------------------------------------------------------------------------------ differences


def test_two_versions_are_compared_by_lines_words_and_variables(analyst: APIClient, path: str) -> None:
    changed = [{**VARIABLES[0], "description": "Whose"}, {"name": "tone"}]
    add(analyst, path, template="Answer kindly for {{ company }}.\nIn a {{ tone }} tone.\n", variables=changed)
    told = analyst.get(f"{path}/diff").json()
    assert (told["object"], told["from"], told["to"]) == ("prompt.difference", 1, 2)
    assert told["lines"] == [
        "@@ -1,4 +1,2 @@",
        "-Answer for {{ company }}.",
        "-{{# topics }}",
        "-- {{ . }}",
        "-{{/ topics }}",
        "+Answer kindly for {{ company }}.",
        "+In a {{ tone }} tone.",
    ]
    words = told["words"]
    assert words[0] == {"kind": "same", "text": "Answer "}
    assert "".join(piece["text"] for piece in words if piece["kind"] != "added") == TEMPLATE
    assert "".join(piece["text"] for piece in words if piece["kind"] != "removed").startswith("Answer kindly for")
    assert words[1]["kind"] == "added"
    assert "kindly" in words[1]["text"]
    assert [(change["name"], change["kind"]) for change in told["variables"]] == [
        ("company", "changed"), ("topics", "removed"), ("tone", "added"),
    ]  # fmt: skip
    assert told["variables"][2]["before"] is None
    backwards = analyst.get(f"{path}/diff", {"from": "2", "to": "1"}).json()
    assert (backwards["from"], backwards["to"]) == (2, 1)
    kinds = {change["name"]: change["kind"] for change in backwards["variables"]}
    assert kinds == {"company": "changed", "topics": "added", "tone": "removed"}


def test_the_same_is_no_difference(analyst: APIClient, path: str) -> None:
    told = analyst.get(f"{path}/diff", {"from": "1", "to": "1"}).json()
    assert (told["lines"], told["variables"]) == ([], [])
    assert told["words"] == [{"kind": "same", "text": TEMPLATE}]


def test_the_first_version_has_nothing_before_it(analyst: APIClient, path: str) -> None:
    assert error_of(analyst.get(f"{path}/diff")) == (400, "from", "missing_required_parameter")
    assert analyst.get(f"{path}/diff", {"from": "7"}).status_code == 404


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a\n" * 30_000, "b\n" * 30_000),
        ("".join(f"{n}\n" for n in range(20_000)), "".join(f"{-n}\n" for n in range(20_000))),
        ("a " * 60_000, "b " * 60_000),
        ("".join(f"{n % 97} " for n in range(50_000)), "".join(f"{n % 89} " for n in range(50_000))),
        ("\r\n" * 60_000, "\n" * 60_000),
    ],
    ids=range(5),
)
def test_the_longest_texts_are_compared(alices: Principal, before: str, after: str) -> None:
    old, new = PromptVersion(template=before + "end"), PromptVersion(template=after + "end")
    told = services.difference(old, new)
    assert len(told.lines) <= 5_000
    assert "".join(text for kind, text in told.words if kind != "added") == old.template
    assert "".join(text for kind, text in told.words if kind != "removed") == new.template


# ------------------------------------------------------------------------------------------------ previews


def preview(client: APIClient, path: str, **body: Any) -> Any:
    return client.post(f"{path}/preview", body, format="json")


def test_a_version_is_filled_in_with_sample_values(viewer: APIClient, path: str) -> None:
    values = {"company": "{{ evil }}", "topics": "Anvils, Rockets"}
    assert preview(viewer, path, values=values).json() == {
        "object": "prompt.preview",
        "prompt_id": path.rpartition("/")[2],
        "version": 1,
        "text": "Answer for {{ evil }}.\n- Anvils\n- Rockets\n",
        "values": {"company": "{{ evil }}", "topics": ["Anvils", "Rockets"]},
        "unused": [],
    }
    assert not AuditEvent.objects.filter(action__contains="preview").exists()


def test_a_text_that_is_not_kept_is_filled_in(analyst: APIClient, path: str) -> None:
    add(analyst, path, template="two")
    body = {"template": "{{ n }}", "variables": [{"name": "n", "type": "integer", "default": 5}, {"name": "m"}]}
    told = preview(analyst, path, **body).json()
    assert (told["text"], told["version"], told["values"], told["unused"]) == ("5", None, {"n": 5}, ["m"])
    told = preview(analyst, path, version=1, template="For {{ company }}", values={"company": "us"}).json()
    assert (told["text"], told["unused"]) == ("For us", ["topics"])
    assert preview(analyst, path, version=1, values={"company": "us"}).json()["version"] == 1
    assert PromptVersion.objects.count() == 2


def test_built_in_variables_are_shown_by_name_or_as_they_are_given(analyst: APIClient, path: str) -> None:
    add(analyst, path, template="{{ instructions }} {{ date }}", variables=[])
    told = preview(analyst, path, values={"date": "2026-01-01"}).json()
    assert (told["text"], told["values"]) == (
        "{instructions} 2026-01-01", {"instructions": "{instructions}", "date": "2026-01-01"},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({}, "template", "missing_variable"),
        ({"values": {"company": ["x"]}}, "values", "invalid_variable"),
        ({"values": {"company": "x", "compny": "y"}}, "values", "unknown_variable"),
        ({"values": {"company": "\x00"}}, "values", "invalid_value"),
        ({"values": []}, "values", "invalid_type"),
        ({"values": {"company": "x", "date": {}}}, "values", "invalid_variable"),
        ({"template": "{{"}, "template", "invalid_template"),
        ({"template": "{{ x }}"}, "template", "unknown_variable"),
        ({"variables": [{}]}, "variables[0].name", "invalid_variable"),
        ({"variables": 1}, "variables", "invalid_type"),
        ({"text": "x"}, "text", "unknown_parameter"),
    ],
)
def test_a_preview_that_cannot_be_made_says_why(
    viewer: APIClient, path: str, body: dict[str, Any], param: str, code: str
) -> None:
    assert error_of(preview(viewer, path, **body)) == (400, param, code)


def test_of_an_unknown_version_there_is_no_preview(viewer: APIClient, path: str) -> None:
    assert preview(viewer, path, version="staging").status_code == 404


# ------------------------------------------------------------------------------------------------ services


def test_a_version_of_a_prompt_of_nobody_is_not_added(alices: Principal) -> None:
    with pytest.raises(ApiError) as refused:
        services.add_version(principal=alices, prompt_id="prompt_x", template="x")
    assert refused.value.status == 404
    assert not Prompt.objects.exists()
