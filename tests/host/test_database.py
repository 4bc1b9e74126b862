from __future__ import annotations

import errno
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tree import plant
from vmtune.host import Host
from vmtune.host.database import Database, Limit, parse_maps, parse_memlock, read
from vmtune.host.database.elsewhere import option
from vmtune.host.database.postgresql import control_segment_bytes
from vmtune.host.database.postgresql_memory import shared_memory_bytes, wal_buffers
from vmtune.host.database.postgresql_settings import NUMBERS, Setting, command_line, lines, number, word
from vmtune.root import Root, Unreadable
from vmtune.root.memory import Memory
from vmtune.value import peek

LIMITS = """/proc/{pid}/limits:
  Limit                     Soft Limit           Hard Limit           Units
  Max locked memory         8388608              unlimited            bytes
"""
STATUS = """/proc/{pid}/status:
  Name:\t{comm}
  PPid:\t{parent}
  Uid:\t{uid}\t{uid}\t{uid}\t{uid}
  Gid:\t{uid}\t{uid}\t{uid}\t{uid}
  Groups:\t110 114
  NSpid:\t{nspid}
  CapEff:\t{capabilities}
  HugetlbPages:\t    4096 kB
"""


def server(
    comm: str, exe: str = "", *argv: str, pid: int = 42, parent: int = 1, uid: int = 112, nspid: str = "42",
    capabilities: str = "0000000000000000",
) -> str:  # fmt: skip
    """A process of that name, as a tree."""
    tree = f"/proc/{pid}/comm: {comm}\n/proc/{pid}/stat: {pid} ({comm}) S {parent} {pid} 0\n"
    tree += STATUS.format(pid=pid, comm=comm, parent=parent, uid=uid, nspid=nspid, capabilities=capabilities)
    tree += LIMITS.format(pid=pid)
    tree += f"/proc/{pid}/exe -> {exe}\n" if exe else f"/proc/{pid}/exe ! permission denied\n"
    return tree + f"/proc/{pid}/cmdline: {chr(0).join(argv or (exe or comm,))}\n"


REST = """
/proc/1/comm: systemd
/etc/passwd:
  root:x:0:0::/root:/bin/sh
  postgres:x:112:112::/var/lib/postgresql:/bin/sh
  ann:x:1001:1001::/home/ann:/bin/sh
"""
PROGRAM = "/usr/lib/postgresql/15/bin/postgres"
DATA = "/var/lib/postgresql/15/main"
MAIN = "/etc/postgresql/15/main/postgresql.conf"
POSTGRES = (
    REST
    + server("postgres", PROGRAM, PROGRAM, "-D", DATA, "-c", f"config_file={MAIN}")
    + f"""
/proc/42/cwd -> {DATA}
/proc/42/maps:
  55d0-55e0 r--p 00000000 fe:00 1 {PROGRAM}
  7f0000000000-7f0010000000 rw-s 00000000 00:01 7 /dev/zero (deleted)
  7f0020000000-7f0020001000 rw-s 00000000 00:01 8 /SYSV00000000 (deleted)
  7f0030000000-7f0040000000 rw-p 00000000 00:01 9 /dev/zero (deleted)
{MAIN}:
  # comment
  data_directory = '{DATA}'
  max_connections = 200
  shared_buffers = 256MB   # half
  huge_pages = on
  log_line_prefix = '%m secret'
  include_dir = 'conf.d'
/etc/postgresql/15/main/conf.d/10.conf: Max_Connections 100
/etc/postgresql/15/main/conf.d/.hidden.conf: max_connections 7
/etc/postgresql/15/main/conf.d/20.conf.old: max_connections 8
{DATA}/postgresql.auto.conf: shared_buffers = '128MB'
{DATA}/PG_VERSION: 15
"""
)


def one(*trees: str) -> Database:
    (found,) = read(Host(plant(*trees)))
    return found


def test_a_postgresql_server() -> None:
    found = one(POSTGRES)
    assert (found.engine, found.pid, found.user, found.uid) == ("postgresql", 42, "postgres", 112)
    assert (found.name, found.version, found.major) == ("postgresql/15/main", "15", 15)
    assert (found.executable, found.data_directory) == (PROGRAM, DATA)
    assert found.config_files == (MAIN, "/etc/postgresql/15/main/conf.d/10.conf", f"{DATA}/postgresql.auto.conf")
    assert (found.hugepages, found.huge_page_size_bytes) == ("on", None)
    assert (found.memlock, found.may_lock, found.groups) == (Limit(8 << 20, None), False, (110, 112, 114))
    assert (found.hugetlb_bytes, found.mapped_bytes) == (4 << 20, 256 << 20)


def test_its_settings_and_where_each_is_set() -> None:
    found = one(POSTGRES)
    assert found.evidence("shared_buffers") == (f"{DATA}/postgresql.auto.conf:1", "shared_buffers = 128MB")
    assert found.evidence("max_connections") == (
        "/etc/postgresql/15/main/conf.d/10.conf:1",
        "max_connections = 100",
    )
    assert found.evidence("wal_buffers") == ("/proc/42", "wal_buffers is not set")
    assert "secret" not in str(tuple(found))


def test_its_demand_is_what_the_server_says_itself() -> None:
    found = one(POSTGRES)
    assert found.shared_memory_bytes == 149_520_384
    assert found.demand_bytes == found.shared_memory_bytes
    assert found.pages(2 << 20) == 72
    assert found.pages(1 << 30) == 1


def test_the_command_line_wins() -> None:
    tree = server("postgres", PROGRAM, PROGRAM, "-D", DATA, f"--config-file={MAIN}", "-B", "16384", "-chuge_pages=off")
    found = one(POSTGRES, tree)
    assert found.evidence("shared_buffers") == ("/proc/42/cmdline", "shared_buffers = 16384")
    assert (found.pages(2 << 20), found.hugepages) == (72, "off")


def test_without_a_word_on_it_the_configuration_is_in_the_data_directory() -> None:
    tree = server("postgres", "/opt/pg/bin/postgres", "postgres", "-D", "data")
    found = one(POSTGRES, tree, f"{DATA}/postgresql.conf: cluster_name = 'Sales'")
    assert (found.data_directory, found.instance, found.name) == (DATA, "Sales", "postgresql/Sales")
    assert found.config_files == (f"{DATA}/postgresql.conf", f"{DATA}/postgresql.auto.conf")


def test_only_the_parent_of_many_is_the_server() -> None:
    backends = "".join(server("postgres", PROGRAM, pid=pid, parent=42) for pid in (50, 51, 52))
    assert [each.pid for each in read(Host(plant(POSTGRES, backends)))] == [42]


def test_two_servers() -> None:
    other = server("postgres", PROGRAM, PROGRAM, "-D", "/srv/other", pid=43)
    first, second = read(Host(plant(POSTGRES, other)))
    assert (first.pid, second.pid) == (42, 43)
    assert first.shared_memory_bytes == 149_520_384
    with pytest.raises(Unreadable, match=r"/srv/other/postgresql\.conf: absent"):
        _ = second.settings


def test_one_in_a_container_is_none_of_ours() -> None:
    assert read(Host(plant(POSTGRES, server("postgres", PROGRAM, nspid="42\t1")))) == ()


def test_somebody_elses_program_of_that_name_is_none() -> None:
    assert read(Host(plant(REST, server("postgres", "/usr/bin/sleep")))) == ()


@pytest.mark.parametrize(
    ("tree", "field", "reason"),
    [
        (f"{DATA}/postgresql.auto.conf ! permission denied", "settings", "permission denied"),
        (f"{DATA}/postgresql.auto.conf ! permission denied", "shared_memory_bytes", "permission denied"),
        (f"{MAIN}: include 'gone.conf'", "hugepages", "gone.conf: absent"),
        (f"{MAIN}: include '{MAIN}'", "settings", "include each other"),
        (f"{MAIN}: huge_pages = maybe", "hugepages", "'maybe' is not on or off"),
        (f"{MAIN}: max_connections = many", "shared_memory_bytes", f"{MAIN}:1: 'many' is not a number"),
        (f"{MAIN}: shared_preload_libraries = 'auto_explain,timescaledb'", "shared_memory_bytes", "timescaledb"),
        (f"{DATA}/PG_VERSION: 16", "shared_memory_bytes", "what PostgreSQL 16 asks for is not known"),
        (f"{DATA}/global/pg_control: x", "shared_memory_bytes", "pg_control: not a control file"),
        ("/proc/42/maps ! permission denied", "mapped_bytes", "permission denied"),
        ("/proc/42/maps: 7f00-zz rw-s 0 0 0 /dev/zero (deleted)", "mapped_bytes", "not a line of maps"),
        ("/proc/42/limits: Max locked memory x y bytes", "memlock", "is not a limit"),
        ("/proc/42/exe ! permission denied", "executable", "permission denied"),
    ],
)
def test_what_cannot_be_known_costs_itself_alone(tree: str, field: str, reason: str) -> None:
    found = one(POSTGRES, tree)
    with pytest.raises(Unreadable) as raised:
        getattr(found, field)
    assert reason in str(raised.value)
    assert (found.engine, found.user, found.may_lock) == ("postgresql", "postgres", False)


def test_where_the_demand_is_not_known_what_is_mapped_is() -> None:
    found = one(POSTGRES, f"{DATA}/PG_VERSION: 17")
    assert (found.demand_bytes, found.pages(2 << 20)) == (256 << 20, 128)
    with pytest.raises(Unreadable, match="PostgreSQL 17"):
        _ = one(POSTGRES, f"{DATA}/PG_VERSION: 17", "/proc/42/maps ! permission denied").demand_bytes


def test_none_and_nobody_can_say() -> None:
    assert read(Host(plant(REST))) == ()
    with pytest.raises(Unreadable, match="permission denied"):
        read(Host(plant(REST, "/proc/9/", "/proc/9/comm ! permission denied")))
    with pytest.raises(Unreadable, match="is not the status of a process"):
        read(Host(plant(POSTGRES, "/proc/42/status: garbage")))
    assert [each.pid for each in read(Host(plant(POSTGRES, "/proc/9/", "/proc/9/comm ! permission denied")))] == [42]


# -- owners ------------------------------------------------------------------------------------------------------------


class Owned(Memory):
    """A machine whose files have owners: (mode, user, group) by path, else root's and readable by all."""

    def __init__(self, tree: str, owners: dict[str, tuple[int, int, int]]) -> None:
        super().__init__()
        self.__dict__.update(plant(tree).store.__dict__)
        self.owners = owners

    def status(self, folder: str, name: str) -> os.stat_result:
        mode, uid, gid = self.owners.get(f"{folder}/{name}", (0o755, 0, 0))
        return os.stat_result((super().status(folder, name).st_mode & ~0o777 | mode, 0, 0, 1, uid, gid, 0, 0, 0, 0))


def live(tree: str, owners: dict[str, tuple[int, int, int]] | None = None) -> Host:
    return Host(Root(Owned(tree, owners or {})))


HERE = POSTGRES + f"\n{PROGRAM}: ELF\n"


@pytest.mark.parametrize(
    ("owner", "counts"),
    [((0o755, 0, 0), True), ((0o755, 112, 112), False), ((0o777, 0, 0), False), ((0o644, 0, 0), False)],
)
def test_a_program_is_believed_that_root_owns(owner: tuple[int, int, int], counts: bool) -> None:
    assert len(read(live(HERE, {PROGRAM: owner}))) == counts


@pytest.mark.parametrize(("uid", "counts"), [(112, True), (0, True), (33, True), (1001, False), (4242, False)])
def test_an_owner_is_believed_that_nobody_logs_in_as(uid: int, counts: bool) -> None:
    tree = HERE + server("postgres", PROGRAM, PROGRAM, "-D", DATA, uid=uid)
    assert len(read(live(tree))) == counts


def test_a_program_that_was_replaced_is_told_by_its_owner() -> None:
    deleted = server("postgres", f"{PROGRAM} (deleted)", PROGRAM, "-D", DATA)
    assert read(live(POSTGRES + deleted))[0].executable == PROGRAM
    assert read(live(POSTGRES + server("postgres", f"{PROGRAM} (deleted)", uid=33))) == ()


@pytest.mark.parametrize(
    ("owner", "may"),
    [
        ((0o600, 112, 0), True),
        ((0o640, 0, 114), True),
        ((0o644, 0, 0), True),
        ((0o640, 0, 42), False),
        ((0o600, 0, 0), False),
    ],
)
def test_a_file_is_read_that_the_server_itself_may_read(owner: tuple[int, int, int], may: bool) -> None:
    tree = HERE.replace("include_dir = 'conf.d'", "include 'other.conf'")
    tree += "/etc/postgresql/15/main/other.conf -> /etc/secret\n/etc/secret: max_connections = 5\n"
    host = live(tree, {"/etc/secret": owner})
    settings = peek(lambda: read(host)[0].settings)
    assert (settings is not None) == may
    assert host.root.seen("/etc/secret") == ("max_connections = 5" if may else None)


def test_a_file_in_a_closed_folder_is_not_read() -> None:
    tree = HERE.replace("include_dir = 'conf.d'", "include '/root/deep/open.conf'")
    host = live(tree + "/root/deep/open.conf: max_connections = 5\n", {"/root": (0o700, 0, 0)})
    with pytest.raises(Unreadable, match="not a file that postgres may read"):
        _ = read(host)[0].settings
    assert host.root.seen("/root/deep/open.conf") is None


def test_a_file_that_nobody_may_read() -> None:
    store = Owned(HERE, {})
    store.put(f"{DATA}/postgresql.auto.conf", errno.EACCES)
    with pytest.raises(Unreadable, match="permission denied"):
        _ = read(Host(Root(store)))[0].settings


# -- other engines -----------------------------------------------------------------------------------------------------


MYSQL, MARIADB, MONGOD = "/usr/sbin/mysqld", "/usr/sbin/mariadbd", "/usr/bin/mongod"


@pytest.mark.parametrize(
    ("tree", "engine", "name", "files"),
    [
        (server("mysqld", MYSQL, "mysqld", "--datadir=/srv/my"), "mysql", "mysql//srv/my", ("/etc/my.cnf",)),
        (server("mysqld", MARIADB), "mariadb", "mariadb/42", ("/etc/my.cnf",)),
        (server("mariadbd", MARIADB, "mariadbd", "--defaults-file=/a.cnf"), "mariadb", "mariadb/42", ("/a.cnf",)),
        (server("mongod", MONGOD, "mongod", "-f", "/m.conf", "--dbpath", "/d"), "mongodb", "mongodb//d", ("/m.conf",)),
        (server("redis-server", "/usr/bin/redis-check-rdb"), None, "", ()),
        (server("redis-server", "/usr/bin/redis-server", "redis-server 127.0.0.1:6379"), "redis", "redis/42", ()),
        (server("sqlservr", "/opt/mssql/bin/sqlservr"), "mssql", "mssql/42", ()),
        (server("hdbnameserver", "/usr/sap/ABC/HDB07/exe/hdbnameserver"), "hana", "hana/ABC07", ()),
        (server("mongos", "/usr/bin/mongos"), None, "", ()),
    ],
)
def test_other_engines(tree: str, engine: str | None, name: str, files: tuple[str, ...]) -> None:
    found = read(Host(plant(REST, "/etc/my.cnf: [mysqld]", tree)))
    assert [(each.engine, each.name, each.config_files) for each in found] == (
        [(engine, name, files)] if engine else []
    )
    for each in found:
        assert (each.settings, each.hugepages, each.demand_bytes, each.mapped_bytes) == (None, None, None, None)


ORACLE = "/u01/app/oracle/product/19.0.0/dbhome_1"


def test_oracle_has_one_process_monitor_an_instance() -> None:
    tree = "".join(
        server(f"ora_{kind}_salesprd"[:15], f"{ORACLE}/bin/oracle", f"ora_{kind}_salesprd", pid=pid, uid=1001)
        for pid, kind in ((60, "pmon"), (61, "dbw0"), (62, "smon"))
    )
    maps = "/proc/60/maps: 60000000-1060000000 rw-s 00000000 00:0f 1 /SYSV00000000 (deleted)"
    found = one(REST, tree, maps, f"{ORACLE}/dbs/spfilesalesprd.ora: x")
    assert (found.name, found.version, found.major, found.mapped_bytes) == ("oracle/salesprd", "19.0.0", 19, 64 << 30)
    assert found.config_files == (f"{ORACLE}/dbs/spfilesalesprd.ora",)
    assert found.pages(2 << 20) == 32 << 10


def test_oracle_owns_its_program_and_runs_as_a_person() -> None:
    tree = (
        REST.replace("ann", "oracle")
        + server("ora_pmon_x", f"{ORACLE}/bin/oracle", uid=1001)
        + f"{ORACLE}/bin/oracle: ELF\n"
    )
    assert len(read(live(tree, {f"{ORACLE}/bin/oracle": (0o751, 1001, 1001)}))) == 1
    assert read(live(tree, {f"{ORACLE}/bin/oracle": (0o751, 1002, 1001)})) == ()
    hidden = one(REST, server("ora_pmon_x", "", "ora_pmon_x"))
    assert hidden.instance == "x"
    with pytest.raises(Unreadable, match="permission denied"):
        _ = hidden.version


# -- parsing -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("a = b", ("a", "b")),
        ("  A.b_1\t=\t128MB # c", ("a.b_1", "128MB")),
        ("a 'b c'", ("a", "b c")),
        ("a='it''s \\'x\\' \\101\\n'", ("a", "it's 'x' A\n")),
        ("a'b'", ("a", "b")),
        ("a = -1.5", ("a", "-1.5")),
        ("a = /x/y", ("a", "/x/y")),
        ("a = ''", ("a", "")),
        ("a = 'b", None),
        ("a = b c", None),
        ("a", None),
        ("# a = b", None),
        ("root:$6$x:19000:0:99999:7:::", None),
        ("= b", None),
    ],
)
def test_lines_of_a_configuration(line: str, found: tuple[str, str] | None) -> None:
    assert [each[1:] for each in lines(f"x = 1\n{line}\n")][1:] == ([found] if found else [])


@pytest.mark.parametrize(
    ("name", "text", "result"),
    [
        ("shared_buffers", "1GB", 131072),
        ("shared_buffers", "100", 100),
        ("shared_buffers", "0.5 GB", 65536),
        ("shared_buffers", "0x4000", 16384),
        ("shared_buffers", "010", 8),
        ("shared_buffers", "12kB", 2),
        ("shared_buffers", "1gb", None),
        ("shared_buffers", "-1", None),
        ("shared_buffers", "9999TB", None),
        ("shared_buffers", "08", None),
        ("shared_buffers", "", None),
        ("shared_buffers", "1 GB x", None),
        ("wal_buffers", "-1", -1),
        ("huge_page_size", "1GB", 1 << 20),
        ("old_snapshot_threshold", "2d", 2880),
        ("old_snapshot_threshold", "90s", 2),
        ("old_snapshot_threshold", "1MB", None),
        ("max_connections", "100", 100),
        ("max_connections", "100kB", None),
        ("max_connections", "\u0661", None),
    ],
)
def test_numbers_with_units(name: str, text: str, result: int | None) -> None:
    settings = {name: Setting(name, text, "/x:1")}
    assert peek(lambda: number(settings, name)) == result


def test_words() -> None:
    assert word({}, "huge_pages") == "try"
    assert word({"huge_pages": Setting("huge_pages", "YES", "x")}, "huge_pages") == "on"
    assert word({"hot_standby": Setting("hot_standby", "0", "x")}, "hot_standby") == "off"


def test_options_of_a_command_line() -> None:
    argv = (
        "postgres",
        "-N5",
        "-k",
        "/run",
        "-c",
        "Huge-Pages=on",
        "--wal-buffers=3",
        "-x",
        "-c",
        "log_x=1",
        "extra",
        "-c",
    )
    assert {name: each.value for name, each in command_line(argv, "here").items()} == {
        "max_connections": "5",
        "huge_pages": "on",
        "wal_buffers": "3",
    }
    assert option(("x", "--a=/1", "--a", "/2", "--b=3"), ("--a",)) == "/2"
    assert option(("x", "--a=rel", "--a"), ("--a",)) is None


def test_the_control_file_tells_the_size_of_a_wal_segment() -> None:
    data = bytearray(8192)
    for offset, stated in ((8, 1300), (216, 8192), (224, 8192), (228, 64 << 20)):
        data[offset : offset + 4] = stated.to_bytes(4, "little")
    assert control_segment_bytes(bytes(data), "/c") == 64 << 20
    for offset, stated in ((8, 1201), (216, 4096), (228, 3 << 20), (228, 1 << 31)):
        wrong = data[:offset] + stated.to_bytes(4, "little") + data[offset + 4 :]
        with pytest.raises(Unreadable, match=r"^/c: "):
            control_segment_bytes(bytes(wrong), "/c")
    with pytest.raises(Unreadable):
        control_segment_bytes(bytes(data[:200]), "/c")


def test_wal_buffers_that_are_chosen() -> None:
    assert [wal_buffers(-1, buffers, 16 << 20) for buffers in (16, 16384, 1 << 20)] == [8, 512, 2048]
    assert [wal_buffers(stated, 16384, 16 << 20) for stated in (0, 3, 77)] == [4, 4, 77]


VALUES = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_characters="\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"), max_size=20),
    st.from_regex(r"[0-9]{1,12}(kB|MB|GB|TB|min|d)?", fullmatch=True),
)


@given(st.dictionaries(st.sampled_from(sorted(NUMBERS)), VALUES))
def test_what_is_written_is_read_back(settings: dict[str, str]) -> None:
    text = "\n".join(
        f"{name} = '{value.replace(chr(92), chr(92) * 2).replace(chr(39), chr(39) * 2)}'"
        for name, value in settings.items()
    )
    assert {name: value for _, name, value in lines(text)} == settings


@given(
    st.one_of(
        st.text(),
        st.lists(st.sampled_from(["max_connections", "=", "'", "\\", "7", "#", " ", "\n", "include"])).map("".join),
    )
)
def test_garbage_in_a_configuration_is_passed_over(text: str) -> None:
    for place, name, value in lines(text):
        assert 1 <= place <= text.count("\n") + 1
        assert name == name.lower()
        assert "\n" not in value or "\\" in text
    root = plant(POSTGRES)
    root.store.put(MAIN, text.encode("utf-8", "replace"))  # type: ignore[attr-defined]
    (found,) = read(Host(root))
    assert [peek(lambda: getattr(found, field)) for field in Database._fields][:2] == ["postgresql", 42]  # noqa: B023


@given(st.sampled_from(sorted(NUMBERS)), VALUES)
def test_a_number_is_one_or_is_refused(name: str, text: str) -> None:
    result = peek(lambda: number({name: Setting(name, text, "/x:1")}, name))
    assert result is None or -1 <= result < 1 << 31


@given(st.text())
def test_garbage_in_maps_and_limits(text: str) -> None:
    assert (peek(lambda: parse_maps(text, "/proc/1")) or 0) >= 0
    assert peek(lambda: parse_memlock(text, "/proc/1")) is None


# -- the server itself -------------------------------------------------------------------------------------------------

BIN = "/usr/lib/postgresql/15/bin"
CONFIGURATIONS = [
    {},
    {"shared_buffers": "8GB"},
    {"shared_buffers": "1TB", "huge_page_size": "1GB"},
    {"shared_buffers": "16", "wal_buffers": "64kB"},
    {"max_connections": "5000", "shared_buffers": "64GB"},
    {"max_prepared_transactions": "500", "max_locks_per_transaction": "1024"},
    {"max_pred_locks_per_transaction": "640", "hot_standby": "off"},
    {"max_wal_senders": "0", "wal_level": "minimal", "max_replication_slots": "0"},
    {"max_worker_processes": "128", "autovacuum_max_workers": "20", "max_logical_replication_workers": "60"},
    {"track_activity_query_size": "64kB", "wal_buffers": "128MB"},
    {"old_snapshot_threshold": "2d", "min_dynamic_shared_memory": "1GB"},
    {"shared_preload_libraries": "pg_stat_statements,auto_explain", "pg_stat_statements.max": "20000"},
    {"shared_preload_libraries": "pg_prewarm", "shared_buffers": "3GB", "wal_buffers": "-1"},
]


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """A fresh PostgreSQL 15 cluster of an unprivileged user."""
    if not os.path.exists(f"{BIN}/initdb") or os.geteuid() != 0:
        pytest.skip("needs PostgreSQL 15 and root, to become somebody who may run it")
    folder = tempfile.mkdtemp()
    try:
        os.chmod(folder, 0o755)
        os.mkdir(f"{folder}/data")
        shutil.chown(f"{folder}/data", "nobody")
        run(f"{BIN}/initdb", "-D", f"{folder}/data", "-A", "trust", "--no-sync")
        yield f"{folder}/data"
    finally:
        shutil.rmtree(folder)


def run(*argv: str) -> str:
    done = subprocess.run(
        argv, user="nobody", group="nogroup", extra_groups=[], env={"LC_ALL": "C"}, cwd="/", check=True, stdout=-1
    )
    return done.stdout.decode().strip()


@pytest.mark.parametrize("stated", CONFIGURATIONS, ids=lambda stated: ",".join(stated) or "defaults")
def test_the_demand_equals_what_the_server_says(cluster: str, stated: dict[str, str]) -> None:
    with open(f"{cluster}/postgresql.auto.conf", "w") as file:
        file.writelines(f"{name} = '{value}'\n" for name, value in stated.items())
    says = run(f"{BIN}/postgres", "-D", cluster, "-C", "shared_memory_size_in_huge_pages")
    tree = REST + server("postgres", PROGRAM, PROGRAM, "-D", DATA)
    root = plant(tree)
    for name in ("postgresql.conf", "postgresql.auto.conf", "PG_VERSION", "global/pg_control"):
        with open(f"{cluster}/{name}", "rb") as file:
            root.store.put(f"{DATA}/{name}", file.read())  # type: ignore[attr-defined]
    (found,) = read(Host(root))
    with open("/proc/meminfo") as file:
        size = next(int(line.split()[1]) << 10 for line in file if line.startswith("Hugepagesize"))
    assert found.pages(found.huge_page_size_bytes or size) == int(says)


def test_the_demand_grows_with_each_number() -> None:
    least = {name: default for name, (_, default) in NUMBERS.items()} | {"hot_standby": 1}
    before = shared_memory_bytes(least, frozenset(), 16 << 20)
    for name in ("shared_buffers", "max_connections", "max_prepared_transactions", "max_wal_senders"):
        assert shared_memory_bytes(least | {name: least[name] + 1000}, frozenset(), 16 << 20) > before
