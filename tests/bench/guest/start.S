/*
 * Entry of the guest program, and hypercalls
 *
 * The firmware enters at the first byte, in 32-bit mode, big endian, with
 * translation and external interrupts off.  All that the C code needs is
 * 64-bit mode, a table of contents pointer and a stack.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "layout.h"

    .abiversion 2

/* Run a function of C that does not return, with the processor's number */
    .macro  run function
    lis     %r2, .TOC.@h
    ori     %r2, %r2, .TOC.@l
    lis     %r1, stack_end@h
    ori     %r1, %r1, stack_end@l
    sldi    %r4, %r3, STACK_SHIFT
    add     %r1, %r1, %r4
    li      %r0, 0
    stdu    %r0, -64(%r1)
    bl      \function
    b       .
    .endm

    .section .text.start, "ax"
    .globl _start
_start:
    mfmsr   %r5
    li      %r6, 1
    sldi    %r6, %r6, 63
    or      %r5, %r5, %r6
    mtmsrd  %r5
    isync
    li      %r3, 0
    run     guest_main

/*
 * RTAS starts a processor in 64-bit mode, big endian, translation off, and
 * passes its number on
 */
    .globl other_start
other_start:
    run     other_main

/* See guest.h */
    .globl hypercall
hypercall:
    mr      %r11, %r3
    std     %r3, -16(%r1)
    ld      %r4, 8(%r11)
    ld      %r5, 16(%r11)
    ld      %r6, 24(%r11)
    ld      %r7, 32(%r11)
    ld      %r8, 40(%r11)
    ld      %r3, 0(%r11)
    sc      1
    ld      %r11, -16(%r1)
    std     %r4, 8(%r11)
    std     %r5, 16(%r11)
    std     %r6, 24(%r11)
    blr

    .bss
    .balign 16
    .space  1 << STACK_SHIFT
stack_end:                      /* of the first processor */
    .space  (PROCESSORS - 1) << STACK_SHIFT
    .section .note.GNU-stack, "", @progbits
