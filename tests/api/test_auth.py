from __future__ import annotations

import json

import pytest
import structlog
from pydantic import SecretStr

from api.app import create_app
from api.auth import ROLE
from api.keys import KeyRing, Role
from api.settings import Settings
from kg.errors import ConfigurationError
from tests.api.conftest import Client, assert_problem

_ROUTES = {
    Role.READER: [
        ("GET", "/v1/search?q=ataxia"),
        ("GET", "/v1/entities/HP:0001251"),
        ("GET", "/v1/entities/HP:0001251/neighbourhood"),
        ("GET", "/v1/entities/HP:0001251/similar"),
        ("GET", "/v1/sources"),
        ("GET", "/v1/sources/x:y"),
        ("POST", "/v1/cypher"),
        ("POST", "/v1/diagnosis"),
        ("POST", "/v1/findings"),
        ("POST", "/v1/traffic/anomalies"),
        ("POST", "/v1/traffic/cause"),
        ("POST", "/v1/traffic/cause/observed"),
        ("POST", "/v1/traffic/route"),
        ("POST", "/v1/traffic/scene"),
        ("GET", "/v1/conflicts"),
        ("GET", "/v1/possibly-same"),
        ("GET", "/v1/merges"),
        ("GET", "/v1/readers"),
        ("GET", "/v1/runs"),
        ("POST", "/v1/traffic/forecast"),
        ("GET", "/v1/traffic/live"),
        ("GET", "/metrics"),
    ],
    Role.WRITER: [
        ("POST", "/v1/claims"),
        ("POST", "/v1/ingestions"),
        ("GET", "/v1/ingestions"),
        ("GET", "/v1/ingestions/x"),
        ("GET", "/v1/ingestions/x/events"),
        ("DELETE", "/v1/ingestions/x"),
        ("POST", "/v1/enhancements"),
        ("GET", "/v1/enhancements"),
        ("GET", "/v1/enhancements/x"),
        ("GET", "/v1/enhancements/x/events"),
        ("DELETE", "/v1/enhancements/x"),
        ("GET", "/v1/dead-letters"),
        ("GET", "/v1/dead-letters/counts"),
        ("GET", "/v1/dead-letters/x"),
        ("POST", "/v1/dead-letters/replay"),
        ("POST", "/v1/possibly-same/find"),
    ],
    Role.ADMIN: [
        ("DELETE", "/v1/sources/x:y"),
        ("PUT", "/v1/sources/x:y/trust"),
        ("POST", "/v1/merges"),
        ("DELETE", "/v1/merges/x:y"),
        ("POST", "/v1/possibly-same/reject"),
        ("DELETE", "/v1/runs"),
    ],
}
_PUBLIC = {("get", "/v1/healthz"), ("get", "/v1/readyz")}


def test_the_lists_above_name_every_route(settings: Settings) -> None:
    document = create_app(settings).openapi()
    declared = {
        (method.upper(), path): operation.get(ROLE)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if (method, path) not in _PUBLIC
    }
    fill = {"{id}": "x:y", "{job_id}": "x", "{letter_id}": "x"}
    named = {
        (method, path.split("?")[0].replace("HP:0001251", "x:y")): role.name.lower()
        for role, routes in _ROUTES.items()
        for method, path in routes
    }

    def filled(path: str) -> str:
        for name, value in fill.items():
            path = path.replace(name, value)
        return path

    assert {(method, filled(path)): role for (method, path), role in declared.items()} == named


@pytest.mark.parametrize("has", [None, *Role])
async def test_each_route_takes_its_role_and_higher(settings: Settings, client: Client, has: Role | None) -> None:
    ring = KeyRing(settings.keys_path)
    _, text = ring.create("me", has or Role.READER)
    async with client(settings, base_url="https://evigraph.example.org", peer="203.0.113.9") as http:
        for needed, routes in _ROUTES.items():
            for method, path in routes:
                headers = {"Authorization": f"Bearer {text}"} if has else {}
                response = await http.request(method, path, headers=headers)
                if has is None:
                    assert_problem(response, 401, "unauthenticated")
                    assert response.headers["www-authenticate"].startswith("Bearer")
                elif has < needed:
                    assert_problem(response, 403, "forbidden")
                else:
                    assert response.status_code not in (401, 403), (method, path)


async def test_either_header_works_and_wrong_keys_do_not(settings: Settings, client: Client) -> None:
    _, text = KeyRing(settings.keys_path).create("me", Role.READER)
    async with client(settings) as http:
        for good in ({"X-API-Key": text}, {"Authorization": f"bearer {text}"}):
            assert (await http.get("/v1/sources", headers=good)).status_code == 200
        for bad in ({"X-API-Key": text + "x"}, {"Authorization": f"Basic {text}"}, {"Authorization": "Bearer "}):
            assert_problem(await http.get("/v1/sources", headers=bad), 401, "unauthenticated")


async def test_a_body_is_not_read_before_the_key(settings: Settings) -> None:
    KeyRing(settings.keys_path).create("me", Role.READER)
    app = create_app(settings)
    sent: list[dict[str, object]] = []

    async def receive() -> dict[str, object]:
        raise AssertionError("the body was read")

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/ingestions",
        "raw_path": b"/v1/ingestions",
        "query_string": b"",
        "headers": [(b"host", b"localhost"), (b"content-type", b"application/json")],
        "client": ("127.0.0.1", 5),
        "server": ("127.0.0.1", 8000),
        "scheme": "http",
        "http_version": "1.1",
        "root_path": "",
    }
    await app(scope, receive, send)
    assert sent[0]["status"] == 401


async def test_health_needs_no_key(settings: Settings, client: Client) -> None:
    KeyRing(settings.keys_path).create("me", Role.READER)
    async with client(settings) as http:
        assert (await http.get("/v1/healthz")).json() == {"status": "ok"}
        assert (await http.get("/v1/readyz")).json()["status"] == "ready"


@pytest.mark.parametrize(
    ("base_url", "peer", "headers"),
    [
        ("http://evil.example.org:8000", "127.0.0.1", {}),  # DNS rebinding
        ("http://localhost.evil.org:8000", "127.0.0.1", {}),
        ("http://localhost:8000", "192.0.2.7", {}),
        ("http://localhost:8000", "127.0.0.1", {"Origin": "https://evil.example.org"}),
        ("http://localhost:8000", "127.0.0.1", {"Origin": "http://localhost:3000"}),
        ("http://localhost:8000", "127.0.0.1", {"Origin": "null"}),
        ("http://localhost:8000", "127.0.0.1", {"Host": ""}),
        ("http://localhost:8000", "127.0.0.1", {"Host": "[::1"}),
    ],
)
async def test_without_keys_only_programs_of_this_machine_may_call(
    settings: Settings, client: Client, base_url: str, peer: str, headers: dict[str, str]
) -> None:
    async with client(settings, base_url=base_url, peer=peer, headers=headers) as http:
        for method, path in (("GET", "/v1/sources"), ("DELETE", "/v1/sources/x:y"), ("POST", "/v1/ingestions")):
            assert_problem(await http.request(method, path), 403, "forbidden")


@pytest.mark.parametrize("base_url", ["http://localhost:8000", "http://127.0.0.1:8000", "http://[::1]:8000"])
async def test_without_keys_this_machine_may_do_all(settings: Settings, client: Client, base_url: str) -> None:
    async with client(settings, base_url=base_url, headers={"Origin": base_url}) as http:
        assert (await http.get("/v1/ingestions")).status_code == 200
        assert_problem(await http.delete("/v1/sources/x:y"), 404, "not-found")


async def test_a_first_key_closes_a_running_server_and_revoking_the_last_does_not_open_it(
    settings: Settings, client: Client
) -> None:
    ring = KeyRing(settings.keys_path)
    async with client(settings) as http:
        assert (await http.get("/v1/sources")).status_code == 200
        ring.create("me", Role.ADMIN)
        assert_problem(await http.get("/v1/sources"), 401, "unauthenticated")
    async with client(settings) as http:
        ring.revoke(ring.keys()[0].id)
        assert_problem(await http.get("/v1/sources"), 401, "unauthenticated")


def test_listening_beyond_loopback_needs_a_key(settings: Settings) -> None:
    wide = settings.model_copy(update={"host": "0.0.0.0"})
    with pytest.raises(ConfigurationError, match="evigraph keys create"):
        create_app(wide)
    create_app(wide.model_copy(update={"admin_key": SecretStr("a" * 32)}))
    KeyRing(settings.keys_path).create("me", Role.READER)
    create_app(wide)


async def test_no_key_reaches_the_log(settings: Settings, client: Client) -> None:
    key, text = KeyRing(settings.keys_path).create("me", Role.READER)
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as logs:
        async with client(settings) as http:
            await http.get("/v1/search", params={"q": "ataxia"}, headers={"X-API-Key": text})
            await http.get("/v1/search", params={"q": "ataxia"}, headers={"X-API-Key": text + "wrong"})
    requests = [entry for entry in logs if entry["event"] == "request"]
    assert [entry["status"] for entry in requests] == [200, 401]
    assert requests[0]["key"] == key.id
    assert text not in json.dumps(logs)
    assert "ataxia" not in json.dumps(logs)


async def test_cors_is_closed_unless_an_origin_is_allowed(settings: Settings, client: Client) -> None:
    preflight = {"Origin": "https://app.example.org", "Access-Control-Request-Method": "POST"}
    async with client(settings) as http:
        response = await http.options("/v1/diagnosis", headers=preflight)
        assert "access-control-allow-origin" not in response.headers
    opened = settings.model_copy(update={"cors_origins": ("https://app.example.org",)})
    async with client(opened) as http:
        response = await http.options("/v1/diagnosis", headers=preflight)
        assert response.headers["access-control-allow-origin"] == "https://app.example.org"
        found = await http.get("/v1/sources", headers={"Origin": "https://app.example.org"})
        assert found.status_code == 200
