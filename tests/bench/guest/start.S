/*
 * Entry of the guest program, and hypercalls
 *
 * The firmware enters at the first byte, in 32-bit mode, big endian, with
 * translation and external interrupts off.  All that the C code needs is
 * 64-bit mode, a table of contents pointer and a stack.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
    .abiversion 2

/* Run a function of C that does not return */
    .macro  run function, stack
    lis     %r2, .TOC.@h
    ori     %r2, %r2, .TOC.@l
    lis     %r1, \stack@h
    ori     %r1, %r1, \stack@l
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
    run     guest_main, stack_end

/* RTAS starts a processor in 64-bit mode, big endian, translation off */
    .globl other_start
other_start:
    run     other_main, other_stack_end

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
    .space  16384
stack_end:
    .space  16384
other_stack_end:
    .section .note.GNU-stack, "", @progbits
