/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is copied into the target. It never runs here. Position independent; all it knows is in the desk (desk.h), whose address
 * is the server's argument, and the others' rbx. System calls by number: the target's libc may be another.
 */
#include "attach/desk.h"

#define NR_RT_SIGPROCMASK 14
#define NR_MADVISE        28
#define NR_SENDTO         44
#define NR_RECVMSG        47
#define NR_SOCKETPAIR     53
#define NR_SETSOCKOPT     54
#define NR_CLOSE          3
#define NR_PAUSE          34
#define NR_NANOSLEEP      35
#define NR_EXIT           60
#define NR_GETTID         186
#define NR_FUTEX          202
#define MINUS_EINTR       -4
#define MADV_DONTFORK     10

    .section .rodata
    .globl stub_begin, stub_returned, stub_clone, stub_server, stub_end
    .hidden stub_begin, stub_returned, stub_clone, stub_server, stub_end
    .balign 16
stub_begin:

/* Where pthread_create() returns to that was called in a stopped thread: says what came of it, and waits for the injector. */
stub_returned:
    mov %eax, DESK_CREATED(%rbx)
.Lpause:
    mov $NR_PAUSE, %eax
    syscall
    jmp .Lpause

/* A raw clone: the system call is prepared by the injector, and its parent never comes back here. The child has a stack, a thread
 * control block and nothing else; it makes a thread and is gone, which the kernel notes in DESK_CLONE. */
    .balign 16
stub_clone:
    syscall
    lea DESK_THREAD(%rbx), %rdi
    xor %esi, %esi
    mov DESK_SERVER(%rbx), %rdx
    mov %rbx, %rcx
    call *DESK_CREATE(%rbx)
    mov %eax, DESK_CREATED(%rbx)
    mov $NR_EXIT, %eax
    xor %edi, %edi
    syscall
    ud2

/* void *server(struct desk *): a thread of its own. It makes a pair of sockets, of which the injector takes one end, and does the
 * calls that it is asked for, until the other end is closed, says good-bye (a message that is no call) or is silent for long. Where it
 * cannot have sockets it looks every millisecond whether it is its turn. In the end it unmaps all this, and with it the ground it stands
 * on: munmap() returns to where this function was called from. But whoever was only silent may yet write here, and so it stays mapped
 * then, lest that meets what the program has put in its place; before the first call nobody writes. What a child would have of it
 * if one is forked meanwhile, nobody would unmap. */
    .balign 16
stub_server:
    push %rbx
    push %r12
    push %r13
    mov %rdi, %rbx
    mov $NR_GETTID, %eax
    syscall
    mov %eax, DESK_THREAD_ID(%rbx)
    mov $NR_RT_SIGPROCMASK, %eax
    mov $2, %edi
    lea DESK_MASK(%rbx), %rsi
    xor %edx, %edx
    mov $8, %r10d
    syscall
.Lcloned:                          /* the raw clone stands on this ground, too, and is none of the program's threads */
    mov DESK_CLONE(%rbx), %edx
    test %edx, %edx
    jz .Lalone
    mov $NR_FUTEX, %eax
    lea DESK_CLONE(%rbx), %rdi
    xor %esi, %esi                 /* FUTEX_WAIT */
    xor %r10d, %r10d
    syscall
    jmp .Lcloned
.Lalone:
    mov $NR_MADVISE, %eax
    mov DESK_BASE(%rbx), %rdi
    mov DESK_LENGTH(%rbx), %rsi
    mov $MADV_DONTFORK, %edx
    syscall
    mov $NR_SOCKETPAIR, %eax
    mov $1, %edi                   /* AF_UNIX */
    mov $0x80005, %esi             /* SOCK_SEQPACKET | SOCK_CLOEXEC */
    xor %edx, %edx
    lea DESK_SOCKETS(%rbx), %r10
    syscall
    test %eax, %eax
    js .Lpolled
    mov $NR_SETSOCKOPT, %eax
    mov DESK_SOCKETS(%rbx), %edi
    mov $1, %esi                   /* SOL_SOCKET */
    mov $20, %edx                  /* SO_RCVTIMEO */
    lea DESK_TIMEOUT(%rbx), %r10
    mov $16, %r8d
    syscall
    call .Lsay_result              /* waits in the other end until that is taken */
    movl $DESK_READY, DESK_STATE(%rbx)
.Lnext:
    movq $DESK_CONTROL_SIZE, DESK_HEADER_CONTROL_LENGTH(%rbx)
    mov $NR_RECVMSG, %eax
    mov DESK_SOCKETS(%rbx), %edi
    lea DESK_HEADER(%rbx), %rsi
    mov $0x40000000, %edx          /* MSG_CMSG_CLOEXEC */
    syscall
    cmp $MINUS_EINTR, %rax
    je .Lnext
    test %rax, %rax
    js .Lsilent
    cmp $DESK_RESULT, %rax
    jne .Lover
    call .Lclose_other_end
    call .Lserve
    mov %rax, DESK_RESULT(%rbx)
    call .Lsay_result
    jmp .Lnext
.Lsilent:
    mov DESK_SOCKETS + 4(%rbx), %r12d
    call .Lclose_sockets
    test %r12d, %r12d
    js .Lstay
    jmp .Lgone
.Lover:
    call .Lclose_sockets
    jmp .Lgone
.Lpolled:
    neg %eax
    mov %eax, DESK_WHY(%rbx)
    movl $DESK_POLLED, DESK_STATE(%rbx)
.Lawait:
    mov DESK_NAPS(%rbx), %r12d
.Llook:
    mov DESK_TURN(%rbx), %eax
    cmp $DESK_TURN_SERVER, %eax
    je .Lasked
    cmp $DESK_TURN_OVER, %eax
    je .Lgone
    sub $1, %r12d
    jz .Lstay
    mov $NR_NANOSLEEP, %eax
    lea DESK_NAP(%rbx), %rdi
    xor %esi, %esi
    syscall
    jmp .Llook
.Lasked:
    call .Lserve
    mov %rax, DESK_RESULT(%rbx)
    movl $DESK_TURN_INJECTOR, DESK_TURN(%rbx)
    jmp .Lawait
.Lgone:
    mov DESK_UNMAP(%rbx), %rax
    mov DESK_BASE(%rbx), %rdi
    mov DESK_LENGTH(%rbx), %rsi
    pop %r13
    pop %r12
    pop %rbx
    jmp *%rax
.Lstay:
    xor %eax, %eax
    pop %r13
    pop %r12
    pop %rbx
    ret

/* Does the call; 0 if there is none. */
.Lserve:
    xor %eax, %eax
    cmpq $0, DESK_FUNCTION(%rbx)
    je .Lserved
    mov DESK_ARGUMENTS(%rbx), %rdi
    mov DESK_ARGUMENTS + 8(%rbx), %rsi
    mov DESK_ARGUMENTS + 16(%rbx), %rdx
    mov DESK_ARGUMENTS + 24(%rbx), %rcx
    mov DESK_ARGUMENTS + 32(%rbx), %r8
    mov DESK_ARGUMENTS + 40(%rbx), %r9
    sub $8, %rsp
    call *DESK_FUNCTION(%rbx)
    add $8, %rsp
.Lserved:
    ret

.Lsay_result:
    mov $NR_SENDTO, %eax
    mov DESK_SOCKETS(%rbx), %edi
    lea DESK_RESULT(%rbx), %rsi
    mov $8, %edx
    mov $0x4000, %r10d             /* MSG_NOSIGNAL */
    xor %r8d, %r8d
    xor %r9d, %r9d
    syscall
    ret

.Lclose_sockets:
    mov $NR_CLOSE, %eax
    mov DESK_SOCKETS(%rbx), %edi
    syscall
.Lclose_other_end:
    mov DESK_SOCKETS + 4(%rbx), %edi
    test %edi, %edi
    js .Lclosed
    movl $-1, DESK_SOCKETS + 4(%rbx)
    mov $NR_CLOSE, %eax
    syscall
.Lclosed:
    ret

stub_end:
    .section .note.GNU-stack, "", @progbits
