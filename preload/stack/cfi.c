/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "stack/cfi.h"

#include <stddef.h>

#include "stack/cfi_bytes.h"

/* DWARF's numbers of registers. */
enum { REGISTER_BP = 6, REGISTER_SP = 7, REGISTER_RA = 16 };

/* Instructions with an operand in their low bits, and those without. */
enum {
    ADVANCE_LOC = 0x40,
    OFFSET = 0x80,
    RESTORE = 0xc0,
    HIGH_BITS = 0xc0,
    NOP = 0x00,
    SET_LOC,
    ADVANCE_LOC1,
    ADVANCE_LOC2,
    ADVANCE_LOC4,
    OFFSET_EXTENDED,
    RESTORE_EXTENDED,
    UNDEFINED,
    SAME_VALUE,
    REGISTER,
    REMEMBER_STATE,
    RESTORE_STATE,
    DEF_CFA,
    DEF_CFA_REGISTER,
    DEF_CFA_OFFSET,
    DEF_CFA_EXPRESSION,
    EXPRESSION,
    OFFSET_EXTENDED_SF,
    DEF_CFA_SF,
    DEF_CFA_OFFSET_SF,
    VAL_OFFSET,
    VAL_OFFSET_SF,
    VAL_EXPRESSION,
    GNU_ARGS_SIZE = 0x2e,
    GNU_NEGATIVE_OFFSET_EXTENDED = 0x2f,
};

/* The operations that the expressions of aligned frames are made of. */
enum { OP_DEREF = 0x06, OP_PLUS_UCONST = 0x23, OP_BREG_BP = 0x76, OP_BREG_SP = 0x77 };

#define STATES_MAX 8 /* remembered inside each other */

/* Where a register of the caller is. */
enum place { SAME, NOWHERE, AT_CFA, AT_BP, AT_SP, ELSEWHERE };

/* One row of the table that the instructions describe, as far as a rule could hold it. */
struct row {
    bool cfa_other; /* the CFA is not of any kind that a rule has */
    enum cfi_cfa cfa;
    int64_t offset, added;
    enum place bp, ra, sp;
    int64_t bp_offset, ra_offset, sp_offset;
};

/* A common information entry, and the rows that the instructions of it and of a frame make. */
struct program {
    int64_t data_align;
    uint64_t code_align;
    uint8_t encoding;
    bool augmented, is_signal;
    struct bytes initial_code;
    uint64_t location, target;
    struct row row, initial, remembered[STATES_MAX];
    unsigned depth;
    bool other; /* holds something that no rule can say */
};

/* ---- instructions ---- */

static void set_place(struct row *row, uint64_t number, enum place place, int64_t offset)
{
    if (number == REGISTER_BP) {
        row->bp = place;
        row->bp_offset = offset;
    } else if (number == REGISTER_RA) {
        row->ra = place;
        row->ra_offset = offset;
    } else if (number == REGISTER_SP) {
        row->sp = place;
        row->sp_offset = offset;
    }
}

static void restore(struct program *program, uint64_t number)
{
    const struct row *initial = &program->initial;
    if (number == REGISTER_BP)
        set_place(&program->row, number, initial->bp, initial->bp_offset);
    else if (number == REGISTER_RA)
        set_place(&program->row, number, initial->ra, initial->ra_offset);
    else if (number == REGISTER_SP)
        set_place(&program->row, number, initial->sp, initial->sp_offset);
}

static void set_cfa_register(struct row *row, uint64_t number)
{
    row->cfa_other = number != REGISTER_SP && number != REGISTER_BP;
    row->cfa = number == REGISTER_SP ? CFI_SP : CFI_BP;
}

/* "RBP + offset" or "RSP + offset", the beginning of the expressions that we know. */
static bool take_base(struct bytes *code, bool *ret_bp, int64_t *ret_offset)
{
    uint8_t operation = bytes_byte(code);
    *ret_bp = operation == OP_BREG_BP;
    *ret_offset = bytes_sleb(code);
    return !code->failed && (operation == OP_BREG_BP || operation == OP_BREG_SP);
}

/* A function that aligned its frame keeps the caller's stack pointer in that frame. */
static void set_cfa_expression(struct row *row, struct bytes code)
{
    bool bp = false;
    row->cfa_other = !take_base(&code, &bp, &row->offset) || bytes_byte(&code) != OP_DEREF;
    row->cfa = bp ? CFI_AT_BP : CFI_AT_SP;
    row->added = 0;
    if (!row->cfa_other && bytes_left(&code) > 0) {
        row->cfa_other = bytes_byte(&code) != OP_PLUS_UCONST;
        row->added = (int64_t)bytes_uleb(&code);
    }
    row->cfa_other |= code.failed || bytes_left(&code) > 0;
}

static void set_expression(struct row *row, uint64_t number, struct bytes code)
{
    bool bp = false;
    int64_t offset = 0;
    bool known = take_base(&code, &bp, &offset) && bytes_left(&code) == 0;
    set_place(row, number, !known ? ELSEWHERE : bp ? AT_BP : AT_SP, offset);
}

static void push(struct program *program)
{
    if (program->depth < STATES_MAX)
        program->remembered[program->depth++] = program->row;
    else
        program->other = true;
}

static void pop(struct program *program)
{
    if (program->depth > 0)
        program->row = program->remembered[--program->depth];
    else
        program->other = true;
}

static int64_t scaled(const struct program *program, uint64_t factor)
{
    return (int64_t)(factor * (uint64_t)program->data_align);
}

static void execute_cfa(struct program *program, uint8_t instruction, struct bytes *code)
{
    struct row *row = &program->row;
    switch (instruction) {
    case DEF_CFA:
        set_cfa_register(row, bytes_uleb(code));
        row->offset = (int64_t)bytes_uleb(code);
        break;
    case DEF_CFA_SF:
        set_cfa_register(row, bytes_uleb(code));
        row->offset = scaled(program, (uint64_t)bytes_sleb(code));
        break;
    case DEF_CFA_REGISTER:
        set_cfa_register(row, bytes_uleb(code));
        break;
    case DEF_CFA_OFFSET:
        row->offset = (int64_t)bytes_uleb(code);
        break;
    case DEF_CFA_OFFSET_SF:
        row->offset = scaled(program, (uint64_t)bytes_sleb(code));
        break;
    default:
        set_cfa_expression(row, bytes_take(code, bytes_uleb(code)));
    }
}

static void execute_place(struct program *program, uint8_t instruction, struct bytes *code)
{
    struct row *row = &program->row;
    uint64_t number = bytes_uleb(code);
    switch (instruction) {
    case OFFSET_EXTENDED:
        set_place(row, number, AT_CFA, scaled(program, bytes_uleb(code)));
        break;
    case OFFSET_EXTENDED_SF:
        set_place(row, number, AT_CFA, scaled(program, (uint64_t)bytes_sleb(code)));
        break;
    case GNU_NEGATIVE_OFFSET_EXTENDED:
        set_place(row, number, AT_CFA, scaled(program, -bytes_uleb(code)));
        break;
    case EXPRESSION:
        set_expression(row, number, bytes_take(code, bytes_uleb(code)));
        break;
    case VAL_EXPRESSION:
        bytes_take(code, bytes_uleb(code));
        set_place(row, number, ELSEWHERE, 0);
        break;
    case REGISTER:
    case VAL_OFFSET:
    case VAL_OFFSET_SF:
        bytes_uleb(code); /* signed or not, it ends at the same byte */
        set_place(row, number, ELSEWHERE, 0);
        break;
    case RESTORE_EXTENDED:
        restore(program, number);
        break;
    default:
        set_place(row, number, instruction == SAME_VALUE ? SAME : NOWHERE, 0);
    }
}

static void execute_low(struct program *program, uint8_t instruction, struct bytes *code)
{
    switch (instruction) {
    case NOP:
        break;
    case SET_LOC:
        program->location = bytes_pointer(code, program->encoding, 0);
        break;
    case ADVANCE_LOC1:
    case ADVANCE_LOC2:
    case ADVANCE_LOC4:
        program->location += bytes_number(code, 1u << (instruction - ADVANCE_LOC1)) * program->code_align;
        break;
    case REMEMBER_STATE:
        push(program);
        break;
    case RESTORE_STATE:
        pop(program);
        break;
    case GNU_ARGS_SIZE:
        bytes_uleb(code); /* matters to who lands in this frame, not to who only looks at it */
        break;
    case DEF_CFA:
    case DEF_CFA_SF:
    case DEF_CFA_REGISTER:
    case DEF_CFA_OFFSET:
    case DEF_CFA_OFFSET_SF:
    case DEF_CFA_EXPRESSION:
        execute_cfa(program, instruction, code);
        break;
    case OFFSET_EXTENDED:
    case OFFSET_EXTENDED_SF:
    case GNU_NEGATIVE_OFFSET_EXTENDED:
    case EXPRESSION:
    case VAL_EXPRESSION:
    case REGISTER:
    case VAL_OFFSET:
    case VAL_OFFSET_SF:
    case RESTORE_EXTENDED:
    case SAME_VALUE:
    case UNDEFINED:
        execute_place(program, instruction, code);
        break;
    default:
        program->other = true;
    }
}

/* Up to the row that holds at the target. */
static void execute(struct program *program, struct bytes code)
{
    while (bytes_left(&code) > 0 && !program->other) {
        uint8_t instruction = bytes_byte(&code), low = instruction & (uint8_t)~HIGH_BITS;
        switch (instruction & HIGH_BITS) {
        case ADVANCE_LOC:
            program->location += low * program->code_align;
            break;
        case OFFSET:
            set_place(&program->row, low, AT_CFA, scaled(program, bytes_uleb(&code)));
            break;
        case RESTORE:
            restore(program, low);
            break;
        default:
            execute_low(program, instruction, &code);
        }
        program->other |= code.failed;
        if (program->location > program->target)
            return;
    }
}

/* ---- entries ---- */

/* Takes an entry's length, and gives its content. Lengths of 64 bits occur in objects of more than 4 GiB
 * only. */
static struct bytes take_entry(struct bytes *section)
{
    uint64_t size = bytes_number(section, 4);
    return size == 0 || size == UINT32_MAX ? bytes_none : bytes_take(section, size);
}

/* What "zPLR" and the like announce. Says through `other` when the frames are not of the common kind. */
static void take_augmentation(struct program *program, const uint8_t *letters, struct bytes *entry)
{
    program->augmented = *letters == 'z';
    if (!program->augmented) {
        program->other |= *letters != 0; /* compilers of the last century */
        return;
    }
    struct bytes data = bytes_take(entry, bytes_uleb(entry));
    while (*++letters && !data.failed) {
        if (*letters == 'R')
            program->encoding = bytes_byte(&data);
        else if (*letters == 'P')
            bytes_format(&data, bytes_byte(&data));
        else if (*letters == 'L')
            bytes_byte(&data);
        else if (*letters == 'S')
            program->is_signal = true;
        else
            program->other = true;
    }
    program->other |= data.failed;
}

static bool take_common(struct program *program, struct bytes section)
{
    struct bytes entry = take_entry(&section);
    uint64_t id = bytes_number(&entry, 4);
    uint8_t version = bytes_byte(&entry);
    if (entry.failed || id != 0 || (version != 1 && version != 3))
        return false;
    const uint8_t *letters = entry.at;
    while (bytes_byte(&entry) != 0)
        ;
    program->code_align = bytes_uleb(&entry);
    program->data_align = bytes_sleb(&entry);
    uint64_t ra = version == 1 ? bytes_byte(&entry) : bytes_uleb(&entry);
    if (entry.failed || ra != REGISTER_RA)
        return false;
    take_augmentation(program, letters, &entry);
    program->initial_code = entry;
    return !entry.failed;
}

static bool fits(const struct row *row)
{
    return row->offset == (int32_t)row->offset && row->added == (uint8_t)row->added &&
           row->bp_offset == (int16_t)row->bp_offset;
}

/* As every function's frame is, but for what the rule has room for. */
static bool is_plain(const struct row *row)
{
    return row->sp == SAME && row->ra == AT_CFA && row->ra_offset == -8 &&
           (row->bp == SAME || row->bp == AT_CFA || row->bp == AT_BP);
}

/* The kernel notes the registers of what it interrupts, RIP right behind RSP. */
static bool is_plain_signal(const struct row *row)
{
    return row->cfa == CFI_AT_SP && row->added == 0 && row->sp == AT_SP && row->sp_offset == row->offset &&
           row->ra == AT_SP && row->ra_offset == row->offset + 8 && row->bp == AT_SP;
}

static enum cfi_bp bp_of(enum place place)
{
    switch (place) {
    case AT_CFA:
        return CFI_BP_AT_CFA;
    case AT_BP:
        return CFI_BP_AT_BP;
    case AT_SP:
        return CFI_BP_AT_SP;
    default:
        return CFI_BP_SAME;
    }
}

static enum cfi_answer conclude(const struct program *program, struct cfi_rule *ret_rule)
{
    const struct row *row = &program->row;
    if (program->other)
        return CFI_OTHER;
    if (row->ra == NOWHERE)
        return CFI_END;
    if (row->cfa_other || !fits(row) || !(program->is_signal ? is_plain_signal(row) : is_plain(row)))
        return CFI_OTHER;
    *ret_rule = (struct cfi_rule){
        .cfa = row->cfa,
        .offset = (int32_t)row->offset,
        .added = row->cfa == CFI_AT_SP || row->cfa == CFI_AT_BP ? (uint8_t)row->added : 0,
        .bp = bp_of(row->bp),
        .bp_offset = (int16_t)row->bp_offset,
        .is_signal = program->is_signal,
    };
    return CFI_RULE;
}

/* The description of a frame, at `entry_address`. */
static enum cfi_answer read_entry(const struct dl_phdr_info *object, uint64_t entry_address, uint64_t target,
                                  struct cfi_rule *ret_rule)
{
    struct bytes section = bytes_at(object, entry_address), entry = take_entry(&section);
    uint64_t here = (uint64_t)(uintptr_t)entry.at, back = bytes_number(&entry, 4);
    struct program program = {.target = UINT64_MAX, .row = {.cfa_other = true, .ra = ELSEWHERE}};
    if (entry.failed || back == 0 || !take_common(&program, bytes_at(object, here - back)))
        return CFI_OTHER;
    uint64_t start = bytes_pointer(&entry, program.encoding, 0);
    uint64_t size = bytes_format(&entry, program.encoding);
    if (program.augmented)
        bytes_take(&entry, bytes_uleb(&entry));
    if (entry.failed)
        return CFI_OTHER;
    if (target - start >= size)
        return CFI_MISSING;
    execute(&program, program.initial_code);
    program.initial = program.row;
    program.location = start;
    program.target = target;
    execute(&program, entry);
    return conclude(&program, ret_rule);
}

/* ---- the search table ---- */

static int64_t row_word(const uint8_t *rows, uint64_t index)
{
    int32_t word;
    __builtin_memcpy(&word, rows + 4 * index, sizeof(word));
    return word;
}

/* The entry with the greatest start that is not beyond `offset`; both are relative to the table's header. */
static bool search(struct bytes rows, int64_t offset, int64_t *ret_entry)
{
    uint64_t low = 0, high = bytes_left(&rows) / 8;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (row_word(rows.at, 2 * middle) <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return false;
    *ret_entry = row_word(rows.at, 2 * low - 1);
    return true;
}

/* The rows of .eh_frame_hdr; none in a form that is not the one of every linker. */
static struct bytes table_rows(struct bytes header, uint64_t address)
{
    uint8_t version = bytes_byte(&header), frame = bytes_byte(&header), count = bytes_byte(&header);
    uint8_t table = bytes_byte(&header);
    if (version != 1 || frame == ENCODING_OMIT || count == ENCODING_OMIT ||
        table != (ENCODING_DATAREL | ENCODING_S4))
        return bytes_none;
    bytes_pointer(&header, frame, address);
    uint64_t rows = bytes_pointer(&header, count, address);
    return rows > bytes_left(&header) / 8 ? bytes_none : bytes_take(&header, rows * 8);
}

static enum cfi_answer find_by_table(const struct dl_phdr_info *object, uint64_t table, uint64_t address,
                                     struct cfi_rule *ret_rule)
{
    int64_t entry;
    struct bytes rows = table_rows(bytes_at(object, table), table);
    if (rows.failed)
        return CFI_OTHER;
    if (!search(rows, (int64_t)(address - table), &entry))
        return CFI_MISSING;
    return read_entry(object, table + (uint64_t)entry, address, ret_rule);
}

enum cfi_answer cfi_find(const struct dl_phdr_info *object, uint64_t address, struct cfi_rule *ret_rule)
{
    for (unsigned i = 0; i < object->dlpi_phnum; i++)
        if (object->dlpi_phdr[i].p_type == PT_GNU_EH_FRAME)
            return find_by_table(object, object->dlpi_addr + object->dlpi_phdr[i].p_vaddr, address, ret_rule);
    return CFI_MISSING;
}
