"""Sessions of a run: those that were recorded are read back, and the next one keeps them."""

import json

from mmgenre.runs import sessions
from mmgenre.runs.directory import RunDirectory


def test_every_session_is_kept_by_the_next_one(tmp_path):
    run = RunDirectory(tmp_path)
    for number in (1, 2, 3):
        with sessions.recorded(run):
            pass
        read = sessions.read_sessions(run)
        assert len(read) == number
    assert all(session["hardware"]["devices"] == {"cpu": 4} for session in read)


def test_a_line_without_a_version_is_a_session(tmp_path):
    """As the first programs wrote them; memory is null where the system does not tell it."""
    run = RunDirectory(tmp_path)
    with sessions.recorded(run):
        pass
    (session,) = sessions.read_sessions(run)
    del session["format_version"]
    session["hardware"]["memory_gib"] = None
    path = sessions.sessions_file(run)
    path.write_text(json.dumps(session) + "\n")
    assert sessions.read_sessions(run) == [session]
    session["hardware"]["devices"] = "cpu"
    path.write_text(json.dumps(session) + "\n")
    assert sessions.read_sessions(run) == []
