"""Strangers that call at the port of a run: scanners, made-up processes, a flood."""

import json
import random
import socket
import struct
import threading
import time

import psutil
import pytest

from mmgenre.distributed import handshake, peer_watch
from tests.distributed.peers import leave, start_peer, start_peers
from tests.distributed.test_processes import start_two
from tests.scale_helpers import ended, finish, open_files, wait_for_step

LOST = b"lost your money\n"

WORDS = (
    b"",
    b"\n" * 500,
    b"x" * 100_000,
    random.Random(1).randbytes(4000),
    bytes.fromhex("16030100c8010000c40303") + bytes(193),  # A client of TLS.
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" + LOST,
    b"1 made-up\n" + LOST,  # What was enough once.
    b"1 made-up\nbye\n",
    b"mmgenre  1 made-up\n" + LOST,
    b"mmgenre " + b"0" * 64 + b" 1 made-up\nalive\n" + LOST,
    b"mmgenre " + "²".encode() * 64 + b" 1 made-up\nalive\n" + LOST,
)


def call(invitation: dict) -> socket.socket:
    return socket.create_connection((invitation["address"], invitation["port"]), timeout=5)


def reset(connection: socket.socket) -> None:
    """Closes a connection by RST, as a scanner of ports does."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def annoy(invitation: dict) -> list[socket.socket]:
    """Says all sorts of things, and hangs up in every way; returns who stays in silence."""
    silent = []
    for words in WORDS:
        for hang_up in (reset, socket.socket.close, silent.append):
            connection = call(invitation)
            try:
                connection.sendall(words)
                time.sleep(0.01)
            except OSError:  # It was turned away while it was still talking.
                pass
            hang_up(connection)
    return silent


def test_strangers_end_nobody():
    silent = []
    processes = start_peers(before=lambda invitation: silent.extend(annoy(invitation)))
    with ended(*processes):
        time.sleep(0.5)
        leave(processes)
    assert silent
    for connection in silent:
        connection.close()


def test_a_lost_process_is_noticed_among_strangers():
    silent = []
    processes = start_peers(before=lambda invitation: silent.extend(annoy(invitation)))
    with ended(*processes):
        processes[2].kill()
        for process in processes[:2]:
            _, errors = process.communicate(timeout=20)
            assert process.returncode == 75
            assert errors.startswith("error: process 2 on "), errors
    for connection in silent:
        connection.close()


def test_a_flood_of_silence_keeps_nobody_out_and_is_bounded():
    first = start_peer(0, count=2)
    stop = threading.Event()
    with ended(first):
        invitation = json.loads(first.stdout.readline())
        before = open_files(first.pid)
        silent = [call(invitation) for _ in range(3 * peer_watch.MAX_PENDING)]
        time.sleep(0.5)
        assert open_files(first.pid) - before <= peer_watch.MAX_PENDING + 2
        assert psutil.Process(first.pid).num_threads() <= peer_watch.MAX_PENDING + 5

        def flood():
            while not stop.wait(0.001):
                try:
                    silent.append(call(invitation))
                except OSError:  # The other has come: nobody listens any more.
                    return

        thread = threading.Thread(target=flood)
        thread.start()
        other = start_peer(1, invitation, count=2)
        with ended(other):
            assert other.stdout.readline() == "connected\n", other.stderr.read()
            stop.set()
            thread.join()
            leave([first, other])
    for connection in silent:
        connection.close()


def test_nobody_listens_once_all_are_there():
    found = []
    processes = start_peers(before=found.append)
    with ended(*processes):
        time.sleep(0.5)
        with pytest.raises(ConnectionRefusedError):
            call(found[0])
        leave(processes)


def test_a_run_of_this_machine_alone_listens_on_loopback_alone():
    with handshake.listening_socket("localhost") as server:
        assert handshake.is_loopback(server.getsockname()[0])
        assert len(handshake.Invitation.for_socket(server).token) == 64
    for address in ("192.0.2.1", "no-such-host.invalid", "a" * 300):  # Of no machine, or another's.
        with handshake.listening_socket(address) as server:
            assert handshake.Invitation.for_socket(server).address == ""


def test_a_process_that_knows_the_token_may_try_again():
    first = start_peer(0, count=2)
    with ended(first):
        invitation = json.loads(first.stdout.readline())
        words = f"mmgenre {invitation['token']} 1 here\n".encode()
        for hang_up in (reset, socket.socket.close):
            connection = call(invitation)  # Gives up before it is welcomed.
            connection.sendall(words)
            assert connection.recv(100) == b"welcome\n"
            hang_up(connection)
        other = start_peer(1, invitation, count=2)
        with ended(other):
            assert other.stdout.readline() == "connected\n", other.stderr.read()
            leave([first, other])


@pytest.mark.slow
def test_a_training_survives_strangers_at_all_its_ports(tiny_dataset, tmp_path):
    """At JAX's and gloo's ports, too."""
    workdir = tmp_path / "run"
    processes = start_two(tiny_dataset, workdir)
    with ended(*processes):
        wait_for_step(workdir, 20, processes[0])
        for process in processes:
            listening = [
                connection.laddr
                for connection in psutil.Process(process.pid).net_connections()
                if connection.status == psutil.CONN_LISTEN
            ]
            print(listening)
            for place in listening:
                silent = annoy({"address": place.ip, "port": place.port})
                assert silent
        for process in processes:
            assert process.poll() is None, finish(process)
        step = 20 + len(WORDS)
        wait_for_step(workdir, step, processes[0])
