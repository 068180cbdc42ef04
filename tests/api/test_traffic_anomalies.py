from __future__ import annotations

import httpx
import pytest

PATH = "/v1/traffic/anomalies"
_START = "2026-05-04T08:00:00Z"


async def test_a_drop_is_told(http: httpx.AsyncClient) -> None:
    values = [60.0, 61.0, 59.0, None] * 20 + [12.0]
    response = await http.post(PATH, json={"values": values, "start": _START, "step_s": 300})
    assert response.status_code == 200, response.text
    answer = response.json()
    (alert,) = answer["alerts"]
    assert alert["value"] == 12
    assert alert["low"] > 12
    assert answer["measured"] == 61
    assert answer["last"]["expected"] == 60


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"values": []}, "values"),
        ({"values": [1.0]}, "step_s"),
        ({"values": [1.0, 2.0], "times": [_START]}, "as many times"),
        ({"values": [1.0, 2.0], "times": [_START, "2026-05-04T07:00:00Z"]}, "comes before"),
        ({"values": ["fast"], "start": _START, "step_s": 1}, "values"),
    ],
)
async def test_bad_input_is_named(http: httpx.AsyncClient, body: dict[str, object], field: str) -> None:
    response = await http.post(PATH, json=body)
    assert response.status_code == 422
    assert field in response.text
