import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import asyncpg
import pytest

from shared.postgres.embedded import EmbeddedPostgres, EmbeddedPostgresError, free_port


@pytest.fixture
def place() -> Iterator[Path]:
    """A place that the server's account can enter, which pytest's own is not when root runs the tests."""
    place = Path(mkdtemp(prefix="tandem-test-"))
    place.chmod(0o711)
    yield place
    shutil.rmtree(place)


@pytest.fixture
async def server(place: Path) -> AsyncIterator[EmbeddedPostgres]:
    async with EmbeddedPostgres(place / "postgres", settings={"shared_buffers": "16MB"}) as server:
        yield server


async def execute(server: EmbeddedPostgres, statement: str) -> Any:
    connection = await asyncpg.connect(server.url.replace("+asyncpg", ""))
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def test_a_new_directory_becomes_a_server_of_version_18(server: EmbeddedPostgres) -> None:
    assert await execute(server, "SHOW server_version_num") >= "180000"
    assert await execute(server, "SELECT current_database()") == "tandem"
    assert await execute(server, "SHOW fsync") == "on"


async def test_a_second_start_keeps_the_data_and_the_address(server: EmbeddedPostgres) -> None:
    address = server.url
    await execute(server, "CREATE TABLE note AS SELECT 'kept' AS text")
    await server.stop()

    await server.start()

    assert await execute(server, "SELECT text FROM note") == "kept"
    assert server.url == address


async def test_another_tandem_starts_on_the_directory_that_one_left(server: EmbeddedPostgres, place: Path) -> None:
    await execute(server, "CREATE TABLE note AS SELECT 'kept' AS text")
    await server.stop()

    async with EmbeddedPostgres(place / "postgres", port=free_port()) as other:
        assert await execute(other, "SELECT text FROM note") == "kept"


async def test_a_killed_server_starts_again_with_what_was_committed(server: EmbeddedPostgres) -> None:
    await execute(server, "CREATE TABLE note AS SELECT 'kept' AS text")
    connection = await asyncpg.connect(server.url.replace("+asyncpg", ""))
    await server.kill()

    await server.start()

    assert await execute(server, "SELECT text FROM note") == "kept"
    connection.terminate()


async def test_a_stranger_that_has_the_number_of_a_killed_server_does_not_keep_it_down(
    server: EmbeddedPostgres, place: Path
) -> None:
    await server.kill()
    trace = place / "postgres" / "cluster" / "postmaster.pid"
    stranger = await asyncio.create_subprocess_exec("sleep", "60")
    trace.write_text("\n".join([str(stranger.pid), *trace.read_text().splitlines()[1:]]))

    await server.start()

    assert await execute(server, "SELECT 1") == 1
    assert stranger.returncode is None
    stranger.kill()
    await stranger.wait()


async def test_a_directory_in_use_is_refused_in_one_line(server: EmbeddedPostgres, place: Path) -> None:
    with pytest.raises(EmbeddedPostgresError, match="in use: another Tandem is running on it") as refusal:
        await EmbeddedPostgres(place / "postgres").start()

    assert "\n" not in str(refusal.value)
    assert await execute(server, "SELECT 1") == 1


async def test_a_directory_of_someone_else_is_refused(place: Path) -> None:
    (place / "thesis.txt").touch()

    with pytest.raises(EmbeddedPostgresError, match="neither empty"):
        await EmbeddedPostgres(place).start()

    assert not (place / "lock").exists()
    assert not (place / "cluster").exists()


async def test_a_creation_that_was_cut_off_is_begun_again(place: Path) -> None:
    (place / "lock").touch()
    (place / "cluster.half").mkdir()
    (place / "cluster.half" / "PG_VERSION").write_text("18\n")

    async with EmbeddedPostgres(place, settings={"shared_buffers": "16MB"}) as server:
        assert await execute(server, "SELECT 1") == 1
    assert not (place / "cluster.half").exists()


async def test_only_the_password_opens_the_server(server: EmbeddedPostgres, place: Path) -> None:
    password = (place / "postgres" / "password").read_text()

    assert (place / "postgres" / "password").stat().st_mode & 0o077 == 0
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(server.url.replace("+asyncpg", "").replace(password, "guess"))


async def test_a_taken_port_is_told_in_one_line(server: EmbeddedPostgres, place: Path) -> None:
    taken = int(server.url.rpartition(":")[2].partition("/")[0])

    with pytest.raises(EmbeddedPostgresError, match="did not start") as refusal:
        await EmbeddedPostgres(place / "other", port=taken).start()

    assert "\n" not in str(refusal.value)
