# SPDX-License-Identifier: GPL-2.0-or-later
"""The control socket of the model of a host's VFIO driver."""

import json
import socket


def control(path, command):
    """What the model that listens at path answers."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        connection.sendall(command.encode() + b'\n')
        with connection.makefile() as answer:
            return answer.read()


def ledger(path):
    """What its host has, and what it was asked."""
    return json.loads(control(path, 'ledger'))
