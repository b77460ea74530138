# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""nftables: run a text of commands as one transaction, and list what is there (nft(8)).

The host's libnftables does both inside this process; where the library cannot
be loaded, the nft program does.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from ..errors import EngineError, Unsupported
from . import commands, namespaces
from .netlink import NETFILTER, NLM_F_REQUEST, Message, Socket, attribute, attributes
from .netlink import text as text_of
from .syscalls import library

_NFNL_MSG_GETGEN = (10 << 8) | 16  # NFNL_SUBSYS_NFTABLES, NFT_MSG_GETGEN
_NFTA_GEN_ID = 1
_NFT_MSG_GETTABLE, _NFTA_TABLE_NAME = (10 << 8) | 1, 1
_NFNL_MSG_NEWCHAIN, _NFNL_MSG_GETCHAIN = (10 << 8) | 3, (10 << 8) | 4
_NFTA_CHAIN_TABLE, _NFTA_CHAIN_NAME, _NFTA_CHAIN_HOOK = 1, 3, 4
_NFTA_HOOK_HOOKNUM = 1
_FAMILIES = {1: "inet", 2: "ip", 3: "arp", 5: "netdev", 7: "bridge", 10: "ip6"}  # NFPROTO_*
_HOOKS = ("prerouting", "input", "forward", "output", "postrouting", "ingress")
_OUTPUT_JSON = 1 << 4
_REMEDY = "Install the package that holds libnftables.so.1 or nft (nftables)"


class BaseChain(NamedTuple):
    """A chain that packets go through by a hook of the kernel."""

    family: str
    table: str
    name: str
    hook: str


class NftablesError(EngineError):
    """The kernel or the library refused a text of commands."""


class _Library:
    """A context of libnftables; it talks to the network namespace in which it was made."""

    def __init__(self, loaded: ctypes.CDLL) -> None:
        loaded.nft_ctx_new.restype = ctypes.c_void_p
        loaded.nft_ctx_new.argtypes = [ctypes.c_uint32]
        for name in ("nft_ctx_get_output_buffer", "nft_ctx_get_error_buffer"):
            getattr(loaded, name).restype = ctypes.c_char_p
            getattr(loaded, name).argtypes = [ctypes.c_void_p]
        for name in ("nft_ctx_buffer_output", "nft_ctx_buffer_error"):
            getattr(loaded, name).argtypes = [ctypes.c_void_p]
        loaded.nft_run_cmd_from_buffer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
        loaded.nft_ctx_set_dry_run.argtypes = [ctypes.c_void_p, ctypes.c_bool]
        loaded.nft_ctx_output_set_flags.argtypes = [ctypes.c_void_p, ctypes.c_uint]
        self._loaded = loaded
        self._context = loaded.nft_ctx_new(0)
        loaded.nft_ctx_buffer_output(self._context)
        loaded.nft_ctx_buffer_error(self._context)

    def run(self, text: str, check: bool, as_json: bool) -> Tuple[int, str, str]:
        """Run commands; status, output, complaints."""
        loaded, context = self._loaded, self._context
        loaded.nft_ctx_set_dry_run(context, check)
        loaded.nft_ctx_output_set_flags(context, _OUTPUT_JSON if as_json else 0)
        status = loaded.nft_run_cmd_from_buffer(context, text.encode())
        output = loaded.nft_ctx_get_output_buffer(context) or b""
        complaints = loaded.nft_ctx_get_error_buffer(context) or b""
        return int(status), output.decode("utf-8", "replace"), complaints.decode("utf-8", "replace")


_contexts: Dict[Tuple[int, str], Any] = {}
"""One context per process and network namespace: closing one makes the kernel wait for a grace period (10 ms)."""
_sockets: Dict[Tuple[int, str], Socket] = {}
"""Likewise."""
_loaded: Any = False


def run(text: str, check: bool = False) -> None:
    """Carry out commands, all of them or none.

    Args:
        text: In the syntax of nft(8).
        check: Only find out whether they would succeed.

    Raises:
        NftablesError: With the complaint of nft.
        Unsupported: The host has neither the library nor the program.
    """
    status, _output, complaints = _run(text, check, False)
    if status:
        raise NftablesError("nftables refused the rules: %s" % _first_line(complaints), None, nftables=complaints)


def list_table(family: str, name: str, as_json: bool = False) -> Optional[str]:
    """A table as the kernel holds it, in text that can be loaded again or in JSON; C(None) where there is none."""
    status, output, complaints = _run("list table %s %s" % (family, name), False, as_json)
    if status and "No such file or directory" in complaints:
        return None
    if status:
        raise NftablesError("cannot list the table %s %s: %s" % (family, name, _first_line(complaints)))
    return output


def generation() -> int:
    """A number that every change of any rule in this network namespace raises (NFT_MSG_GETGEN)."""
    reply = _socket().get(Message(_NFNL_MSG_GETGEN, NLM_F_REQUEST, struct.pack("=BBH", 0, 0, 0),
                                  "read the generation of nftables"))
    value = attributes(reply.body, 4).get(_NFTA_GEN_ID, b"") if reply is not None else b""
    return int.from_bytes(value, "big")


def exists(family: str, name: str) -> bool:
    """Whether there is a table of this name (NFT_MSG_GETTABLE)."""
    number_of = {text: number for number, text in _FAMILIES.items()}[family]
    return _socket().get(Message(_NFT_MSG_GETTABLE, NLM_F_REQUEST, struct.pack("=BBH", number_of, 0, 0) + attribute(_NFTA_TABLE_NAME, name),
                                 "look for the table '%s'" % name, (errno.ENOENT,))) is not None


def forget() -> None:
    """Let go of what was opened, for a fork that shares it."""
    _sockets.clear()
    _contexts.clear()


def base_chains() -> List[BaseChain]:
    """The base chains of all tables of this network namespace (NFT_MSG_GETCHAIN), without their rules."""
    found = []
    for reply in _socket().dump(_NFNL_MSG_GETCHAIN, struct.pack("=BBH", 0, 0, 0), "list the chains of nftables"):
        values = attributes(reply.body, 4)
        hook = attributes(values.get(_NFTA_CHAIN_HOOK, b"")).get(_NFTA_HOOK_HOOKNUM)
        if reply.kind == _NFNL_MSG_NEWCHAIN and hook is not None:
            found.append(BaseChain(_FAMILIES.get(reply.body[0], ""), text_of(values.get(_NFTA_CHAIN_TABLE)),
                                   text_of(values.get(_NFTA_CHAIN_NAME)), _HOOKS[int.from_bytes(hook, "big")]))
    return found


def available() -> bool:
    """Whether the host has the library or the program."""
    return _library() is not None or commands.find("nft") is not None


def _socket() -> Socket:
    """The socket to the nftables of this network namespace."""
    here = _here()
    if here not in _sockets:
        _sockets[here] = Socket(NETFILTER)
    return _sockets[here]


def _here() -> Tuple[int, str]:
    # A fork has its own: two that list at once on a shared socket are refused (EBUSY), or get each other's answers.
    return os.getpid(), namespaces.identity("/proc/thread-self/ns/net")


def _library() -> Optional[ctypes.CDLL]:
    global _loaded
    if _loaded is False:
        _loaded = library("libnftables.so.1")
    return _loaded  # type: ignore[no-any-return]


def _run(text: str, check: bool, as_json: bool) -> Tuple[int, str, str]:
    loaded = _library()
    if loaded is None:
        return _program(text, check, as_json)
    here = _here()
    if here not in _contexts:
        _contexts[here] = _Library(loaded)
    status, output, complaints = _contexts[here].run(text, check, as_json)
    return int(status), str(output), str(complaints)


def _program(text: str, check: bool, as_json: bool) -> Tuple[int, str, str]:
    program = commands.find("nft")
    if program is None:
        raise Unsupported("this host has neither libnftables.so.1 nor the program nft", _REMEDY)
    arguments = [program] + (["-c"] if check else []) + (["-j"] if as_json else []) + ["-f", "-"]
    outcome = commands.run(arguments, text.encode())
    return outcome.status, outcome.stdout.decode("utf-8", "replace"), outcome.stderr.decode("utf-8", "replace")


def _first_line(complaints: str) -> str:
    lines = [line for line in complaints.strip().splitlines() if line.strip()]
    return lines[0] if lines else "without a word"
