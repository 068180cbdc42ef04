from __future__ import annotations

import json
from pathlib import Path

import pytest

from api.cli import main
from tests.api.test_claims import message


def _run(capsys: pytest.CaptureFixture[str], graph: str, data: Path, *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["--graph", graph, "--data", str(data), *arguments])
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


def test_files_of_json_and_json_lines(capsys: pytest.CaptureFixture[str], graph_url: str, tmp_path: Path) -> None:
    one, lines = tmp_path / "one.json", tmp_path / "lines.jsonl"
    one.write_text(json.dumps(message(id="cli-1"), indent=2))
    claim = message()["claims"][0]
    lines.write_text(f"{json.dumps(message(id='cli-2', claims=[]))}\n\n{json.dumps(claim | {'confidence': 0.25})}\n")
    code, out, _ = _run(capsys, graph_url, tmp_path, "push", str(one))
    assert (code, out) == (0, "1 messages, 0 there already; 1 claims written\n")
    code, out, _ = _run(capsys, graph_url, tmp_path, "push", str(one), "--json")
    assert (code, json.loads(out)["repeated"]) == (0, True)
    code, out, _ = _run(capsys, graph_url, tmp_path, "push", str(lines), "--json")
    first, second = json.loads(out)
    assert (code, first["id"], second["claims"]) == (0, "cli-2", 1)
    lines.write_text(json.dumps(message(id="cli-3", claims=[claim | {"relation": "NO_SUCH"}])))
    code, out, err = _run(capsys, graph_url, tmp_path, "push", str(lines))
    assert code == 1
    assert "push:cli-3:claims[0]: unknown relation 'NO_SUCH'" in err
    for id_ in ("cli-1", "cli-2", "cli-3", second["id"]):
        assert _run(capsys, graph_url, tmp_path, "sources", "retract", f"push:{id_}")[0] == 0


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ('{"claims": 1}', "claims: "),
        ('{"id": "a"}\n{"claims": [', ":L2: not JSON"),
        ('{"id": "a"}\n{"claims": [1]}', ":L2: claims.0: "),
    ],
)
def test_what_is_no_message_is_an_error_that_names_its_place(
    capsys: pytest.CaptureFixture[str], graph_url: str, tmp_path: Path, text: str, reason: str
) -> None:
    file = tmp_path / "broken.json"
    file.write_text(text)
    code, _, err = _run(capsys, graph_url, tmp_path, "push", str(file))
    assert code == 3
    assert reason in err
    assert str(file) in err or reason == "not JSON"
