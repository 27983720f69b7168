/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "settings.h"

#include "state/pairs.h"
#include "text.h"
#include "stray/hooks.h"

#define VARIABLES_MAX 32
#define SHOWN         64 /* of a value that is not understood */
#define DEPTH_DEFAULT 64
#define DEPTH_MAX     200
#define SAMPLE_MAX    (UINT64_C(1) << 30)
#define INTERVAL_MIN  UINT64_C(10000000)        /* nanoseconds */
#define INTERVAL_MAX  UINT64_C(86400000000000000)
#define TAKEN         '-' /* begins the value of a variable that leaves out children, once there is a root */

#define DEFAULTS                                                                                                       \
    {                                                                                                                  \
        .interval_ns = 1000000000u, .depth = DEPTH_DEFAULT, .only = ~(uint64_t)0, .heap = true, .follow = true,        \
        .python_memory = PYTHON_MEMORY_SAMPLED                                                                         \
    }

struct settings settings = DEFAULTS;

static char variables[16384];
static const char *variable_list[VARIABLES_MAX + 1];
static bool misunderstood[VARIABLES_MAX];
static char library[PATH_MAX];
static char root_entry[40];

static const struct {
    const char *label;
    unsigned id;
} resources[] = {
#define RESOURCE(id, NAME, label, key) {label, id},
#include "stray/resources.def"
#undef RESOURCE
};

static void copy_text(char *to, size_t size, const char *from)
{
    struct text text = {.at = to, .size = size};
    text_string(&text, from);
}

/* The bit of a word that names a resource, one of the user's own included; 0: none is called so. */
static uint64_t bit_of(const char *word, size_t length)
{
    for (unsigned i = 0; i < sizeof(resources) / sizeof(*resources); i++)
        if (string_length(resources[i].label) == length && string_begins(word, resources[i].label))
            return (uint64_t)1 << resources[i].id;
    unsigned own = pairs_resource(word, length);
    return own ? (uint64_t)1 << own : 0;
}

/* Each of those that set something to a value returns whether it understood it; else nothing is set. Empty is as if not given. */

/* "heap,connection". */
static bool parse_only(const char *list)
{
    uint64_t bits = 0;
    bool understood = true;
    for (const char *word = list; *word; word += *word == ',') {
        size_t length = 0;
        while (word[length] && word[length] != ',')
            length++;
        uint64_t bit = bit_of(word, length);
        understood &= bit != 0;
        bits |= bit;
        word += length;
    }
    settings.only = bits ? bits : settings.only;
    return understood;
}

static unsigned hex_digit(char c)
{
    return c >= 'a' ? (unsigned)(c - 'a') + 10 : (unsigned)(c - '0') & 15;
}

/* "<32 hex digits>:<pid>:<spool path>", written by the exec hooks. */
static void parse_previous(const char *value)
{
    if (string_length(value) < 33 || value[32] != ':')
        return;
    for (unsigned i = 0; i < 16; i++)
        settings.previous_id[i] = (uint8_t)(hex_digit(value[2 * i]) << 4 | hex_digit(value[2 * i + 1]));
    const char *at = value + 33;
    settings.previous_pid = string_number(at);
    while (*at && *at != ':')
        at++;
    copy_text(settings.previous_spool, sizeof(settings.previous_spool), at + (*at == ':'));
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Of a decimal number: its whole part, and what follows the point in `*ret_scale`ths, to six digits. NULL: it is none, or too large;
 * else what stands behind it. */
static const char *parse_decimal(const char *at, uint64_t *ret_whole, uint64_t *ret_part, uint64_t *ret_scale)
{
    *ret_whole = *ret_part = 0;
    *ret_scale = 1;
    if (!is_digit(*at))
        return NULL;
    for (; is_digit(*at); at++)
        if (__builtin_mul_overflow(*ret_whole, 10, ret_whole) ||
            __builtin_add_overflow(*ret_whole, (uint64_t)(*at - '0'), ret_whole))
            return NULL;
    if (*at != '.')
        return at;
    if (!is_digit(*++at))
        return NULL;
    for (; is_digit(*at); at++)
        if (*ret_scale < 1000000u) {
            *ret_part = *ret_part * 10 + (uint64_t)(*at - '0');
            *ret_scale *= 10;
        }
    return at;
}

/* "1.5K": a number and one of the `suffixes`, whose factors are in `factors`; without one, in `unit`s. */
static bool parse_scaled(const char *value, const char *suffixes, const uint64_t *factors, uint64_t unit, uint64_t *ret_number)
{
    uint64_t whole, part, scale;
    const char *at = parse_decimal(value, &whole, &part, &scale);
    bool known = at && !*at;
    for (unsigned i = 0; at && *at && suffixes[i]; i++)
        if ((*at | 0x20) == suffixes[i] && !at[1]) {
            unit = factors[i];
            known = true;
        }
    uint64_t rest = unit / scale * part + unit % scale * part / scale; /* part < scale <= 10^6 */
    return known && !__builtin_mul_overflow(whole, unit, ret_number) && !__builtin_add_overflow(*ret_number, rest, ret_number);
}

static bool parse_size(const char *value, uint64_t max, uint64_t *size)
{
    static const uint64_t factors[] = {1u << 10, 1u << 20, 1u << 30};
    uint64_t number;
    if (!*value)
        return true;
    if (!parse_scaled(value, "kmg", factors, 1, &number) || number > max)
        return false;
    *size = number;
    return true;
}

static bool parse_interval(const char *value)
{
    static const uint64_t factors[] = {1000000000u, 60000000000u, 3600000000000u, 86400000000000u};
    uint64_t interval;
    if (!*value)
        return true;
    if (!parse_scaled(value, "smhd", factors, 1000000000u, &interval) || interval < INTERVAL_MIN || interval > INTERVAL_MAX)
        return false;
    settings.interval_ns = interval;
    return true;
}

static bool parse_depth(const char *value)
{
    uint64_t depth, part, scale;
    if (!*value)
        return true;
    const char *end = parse_decimal(value, &depth, &part, &scale);
    if (!end || *end || scale > 1 || depth < 1 || depth > DEPTH_MAX)
        return false;
    settings.depth = (uint32_t)depth;
    return true;
}

/* Sets `choice` to the number of the word that `value` is; one of `count`. */
static bool parse_choice(const char *value, const char *const *words, uint32_t count, uint32_t *choice)
{
    for (uint32_t i = 0; i < count; i++)
        if (string_equal(value, words[i])) {
            *choice = i;
            return true;
        }
    return !*value;
}

static bool parse_python_memory(const char *value)
{
    return parse_choice(value, (const char *const[]){"off", "sampled", "exact"}, 3, &settings.python_memory);
}

static bool parse_sql(const char *value)
{
    return parse_choice(value, (const char *const[]){"normalised", "text", "off"}, 3, &settings.sql);
}

/* Of a variable that switches something on or, `inverse`, off. */
static bool parse_switch(const char *value, bool inverse, bool *flag)
{
    static const char *const words[] = {"0", "off", "no", "false", "n", "1", "on", "yes", "true", "y"};
    uint32_t choice = 0;
    char lower[8];
    size_t length = 0;
    for (; value[length] && length < sizeof(lower) - 1; length++)
        lower[length] = value[length] >= 'A' && value[length] <= 'Z' ? (char)(value[length] | 0x20) : value[length];
    lower[length] = 0;
    bool understood = parse_choice(lower, words, 10, &choice);
    if (understood && length > 0)
        *flag = (choice >= 5) != inverse;
    return understood;
}

/* A child of a root is told by the value that it is to be left out. */
static bool parse_follow(const char *value, bool inverse)
{
    if (*value == TAKEN)
        settings.follow = false;
    return *value == TAKEN || parse_switch(value, inverse, &settings.follow);
}

static const char *value_of(const char *variable, const char *name)
{
    return string_begins(variable, name) ? variable + string_length(name) : NULL;
}

/* Of the environment's block, until all of it is read. */
static const char *only, *pair;

/* Those whose value can be wrong. */
static bool parse_checked(const char *variable)
{
    const char *value;
    if ((value = value_of(variable, "STRAY_MAX_SIZE=")))
        return parse_size(value, UINT64_MAX, &settings.max_bytes);
    if ((value = value_of(variable, "STRAY_SAMPLE=")))
        return parse_size(value, SAMPLE_MAX, &settings.sample);
    if ((value = value_of(variable, "STRAY_INTERVAL=")))
        return parse_interval(value);
    if ((value = value_of(variable, "STRAY_DEPTH=")))
        return parse_depth(value);
    if ((value = value_of(variable, "STRAY_HEAP=")))
        return parse_switch(value, false, &settings.heap);
    if ((value = value_of(variable, "STRAY_NO_HEAP=")))
        return parse_switch(value, true, &settings.heap);
    if ((value = value_of(variable, "STRAY_PYTHON_MEMORY=")))
        return parse_python_memory(value);
    if ((value = value_of(variable, "STRAY_SQL=")))
        return parse_sql(value);
    if ((value = value_of(variable, "STRAY_FULL=")))
        return parse_switch(value, false, &settings.full);
    if ((value = value_of(variable, "STRAY_FOLLOW=")))
        return parse_follow(value, false);
    if ((value = value_of(variable, "STRAY_NO_FOLLOW=")))
        return parse_follow(value, true);
    return true;
}

static bool parse_variable(const char *variable)
{
    const char *value;
    if ((value = value_of(variable, "STRAY_OUTPUT=")))
        copy_text(settings.folder, sizeof(settings.folder), value);
    else if ((value = value_of(variable, "STRAY_SPOOL=")))
        copy_text(settings.spool, sizeof(settings.spool), value);
    else if ((value = value_of(variable, "STRAY_ONLY=")))
        only = value;
    else if ((value = value_of(variable, "STRAY_PAIR=")))
        pair = value;
    else if ((value = value_of(variable, "STRAY_PREVIOUS=")))
        parse_previous(value);
    return parse_checked(variable);
}

/* The entry of LD_PRELOAD that is this library. */
static void remember_library(const char *list)
{
    while (*list) {
        size_t length = 0;
        while (list[length] && list[length] != ':' && list[length] != ' ')
            length++;
        struct text text = TEXT(library);
        text.used = 0;
        text_bytes(&text, list, length);
        if (string_begins(string_base(library), "libstray"))
            return;
        library[0] = 0;
        list += length + (list[length] != 0);
    }
}

/* The text is looked at for as long as the program runs, which may change its environment. */
static void define_pairs(void)
{
    size_t size = pair ? string_length(pair) + 1 : 0;
    char *copy = pair ? sys_memory(size) : NULL;
    if (copy)
        __builtin_memcpy(copy, pair, size);
    pairs_init(copy);
}

static void keep_variable(struct text *store, const char *variable, bool understood, unsigned *count)
{
    if (*count == VARIABLES_MAX || string_begins(variable, "STRAY_PREVIOUS=") || string_begins(variable, SETTINGS_TRACE_PATH) ||
        string_begins(variable, SETTINGS_SPOOL_PATH))
        return;
    const char *copy = store->at + store->used + (store->used > 0);
    if (store->used > 0)
        store->used++; /* keep the NUL that ends the previous one */
    text_string(store, variable);
    if (store->cut)
        return;
    misunderstood[*count] = !understood;
    variable_list[(*count)++] = copy;
}

/* Which resources there are is known when the pairs are. */
static void read_only(void)
{
    bool understood = !only || parse_only(only);
    for (unsigned i = 0; variable_list[i]; i++)
        if (!understood && string_begins(variable_list[i], "STRAY_ONLY="))
            misunderstood[i] = true;
}

/* Where nobody has said which process is the root, this one is, and what it begins is told that it is not: in place, since
 * system() hands on the environment by itself, and by the entry that settings_root() gives to what this process becomes. */
static bool become_root(char *const *environment)
{
    static const char *const switches[2] = {"STRAY_FOLLOW=", "STRAY_NO_FOLLOW="};
    struct text text = TEXT(root_entry);
    for (; *environment; environment++)
        for (unsigned i = 0; i < 2; i++) {
            char *value = (char *)(uintptr_t)value_of(*environment, switches[i]);
            if (value && *value == TAKEN)
                return false;
            if (value && *value)
                *value = TAKEN;
        }
    text_string(&text, "STRAY_ROOT=");
    text_number(&text, (uint64_t)sys_getpid());
    return true;
}

/* Whether this process is the one that is traced though no child is. */
static bool is_root(const char *root, char *const *environment)
{
    return root ? string_number(root) == (uint64_t)sys_getpid() : become_root(environment);
}

bool settings_read(char *const *environment)
{
    char *const *all = environment;
    struct text store = TEXT(variables);
    unsigned count = 0;
    const char *root = NULL;
    settings = (struct settings)DEFAULTS;
    __builtin_memset(variable_list, 0, sizeof(variable_list));
    only = pair = NULL;
    for (; environment && *environment; environment++) {
        const char *variable = *environment;
        if (string_begins(variable, "LD_PRELOAD="))
            remember_library(variable + 11);
        if (!string_begins(variable, "STRAY_"))
            continue;
        bool understood = parse_variable(variable);
        root = string_begins(variable, "STRAY_ROOT=") ? variable + 11 : root;
        keep_variable(&store, variable, understood, &count);
    }
    define_pairs();
    read_only();
    if (!settings.heap || !(settings.only & (uint64_t)1 << STRAY_PYOBJECT)) /* --no-heap leaves all memory out */
        settings.python_memory = PYTHON_MEMORY_OFF;
    if (!(settings.only & (uint64_t)1 << STRAY_HEAP))
        settings.heap = false;
    if (!settings.heap)
        settings.sample = 0;
    return settings.follow || is_root(root, all);
}

bool settings_silent(char *const *environment)
{
    for (; *environment; environment++)
        if (string_begins(*environment, SETTINGS_SILENT))
            return true;
    return false;
}

/* The name of the folder's variable is as long. */
void settings_silence(char *const *environment)
{
    static const char output[] = "STRAY_OUTPUT=";
    _Static_assert(sizeof(output) == sizeof(SETTINGS_SILENT), "replaced in place");
    for (; environment && *environment; environment++)
        if (string_begins(*environment, output))
            __builtin_memcpy(*environment, SETTINGS_SILENT, sizeof(output) - 1);
}

const char *settings_variable(unsigned index)
{
    return index < VARIABLES_MAX ? variable_list[index] : NULL;
}

bool settings_mistake(unsigned index, struct text *note)
{
    if (index >= VARIABLES_MAX || !variable_list[index] || !misunderstood[index])
        return false;
    size_t name = 0;
    while (variable_list[index][name] != '=')
        name++;
    const char *value = variable_list[index] + name + 1;
    size_t length = string_length(value);
    text_bytes(note, variable_list[index], name);
    text_string(note, " is not understood: ");
    text_bytes(note, value, length < SHOWN ? length : SHOWN);
    text_string(note, length < SHOWN ? "" : "...");
    return true;
}

const char *settings_root(void)
{
    return root_entry[0] ? root_entry : NULL;
}

const char *settings_library(void)
{
    return library;
}
