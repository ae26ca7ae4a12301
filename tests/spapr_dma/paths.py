# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the things are that were built, and what to do if one is missing."""

import os
import pathlib

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = TOP / 'build'


class Missing(Exception):
    """Something that has to be built or downloaded first is not there."""


def existing(path, remedy):
    """Return path, or raise Missing saying what to do."""
    path = pathlib.Path(path)
    if not path.exists():
        raise Missing(f'{path} does not exist: {remedy}')
    return path


def qemu():
    """The native qemu-system-ppc64 under test."""
    build = os.environ.get('QEMU_BUILD') or 'qemu'
    return existing(os.environ.get('QEMU') or
                    BUILD / build / 'qemu-system-ppc64',
                    'run make')


def qemu_of(which):
    """The native one called "ours", or "stock", which need not exist."""
    if which == 'ours':
        return qemu()
    return pathlib.Path(os.environ.get('QTEST_QEMU_STOCK') or
                        BUILD / 'stock/qemu-system-ppc64')


def qemu_ppc64le():
    """The qemu-system-ppc64 that runs on a POWER host."""
    return existing(os.environ.get('QEMU_PPC64LE') or
                    BUILD / 'qemu-ppc64le/qemu-system-ppc64',
                    'run scripts/build-ppc64le')


def firmware(name):
    """A firmware file, as configure laid it out for the native build."""
    bundle = BUILD / 'qemu/qemu-bundle/usr/local/share/qemu'
    for folder in bundle, BUILD / 'firmware/usr/share/qemu':
        if (folder / name).exists():
            return folder / name
    raise Missing(f'firmware {name} is not below build/: run ./configure')
