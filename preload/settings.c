/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "settings.h"

#include "state/pairs.h"
#include "text.h"
#include "stray/hooks.h"

#define VARIABLES_MAX 32
#define DEPTH_DEFAULT 64
#define DEPTH_MAX     200
#define SAMPLE_MAX    (UINT64_C(1) << 30)
#define TAKEN         '-' /* begins the value of a variable that leaves out children, once there is a root */

#define DEFAULTS                                                                                                       \
    {                                                                                                                  \
        .interval_ns = 1000000000u, .depth = DEPTH_DEFAULT, .only = ~(uint64_t)0, .heap = true, .follow = true,        \
        .python_memory = PYTHON_MEMORY_SAMPLED                                                                         \
    }

struct settings settings = DEFAULTS;

static char variables[16384];
static const char *variable_list[VARIABLES_MAX + 1];
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

/* "heap,connection": a bit for each word that names a resource, one of the user's own included. */
static uint64_t parse_only(const char *list)
{
    uint64_t bits = 0;
    for (const char *word = list; *word; word += *word == ',') {
        size_t length = 0;
        while (word[length] && word[length] != ',')
            length++;
        for (unsigned i = 0; i < sizeof(resources) / sizeof(*resources); i++)
            if (string_length(resources[i].label) == length && string_begins(word, resources[i].label))
                bits |= (uint64_t)1 << resources[i].id;
        unsigned own = pairs_resource(word, length);
        bits |= own ? (uint64_t)1 << own : 0;
        word += length;
    }
    return bits ? bits : ~(uint64_t)0;
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

/* "1.5K": a number with at most nine decimals and one of the `suffixes`, whose factors are in `factors`; without one, in
 * `unit`s. */
static uint64_t parse_scaled(const char *value, const char *suffixes, const uint64_t *factors, uint64_t unit)
{
    uint64_t whole = string_number(value), part = 0, scale = 1;
    while (*value >= '0' && *value <= '9')
        value++;
    if (*value == '.')
        for (value++; *value >= '0' && *value <= '9'; value++)
            if (scale < 1000000000u) {
                part = part * 10 + (uint64_t)(*value - '0');
                scale *= 10;
            }
    for (unsigned i = 0; *value && suffixes[i]; i++)
        if ((*value | 0x20) == suffixes[i])
            unit = factors[i];
    return whole * unit + part * (unit / 1000u) / scale * 1000u + part * (unit % 1000u) / scale;
}

static uint64_t parse_size(const char *value)
{
    static const uint64_t factors[] = {1u << 10, 1u << 20, 1u << 30};
    return parse_scaled(value, "kmg", factors, 1);
}

/* What `stray run` would refuse counts as not given. */
static void parse_sample(const char *value)
{
    uint64_t size = parse_size(value);
    settings.sample = size <= SAMPLE_MAX ? size : 0;
}

static void parse_interval(const char *value)
{
    static const uint64_t factors[] = {1000000000u, 60000000000u, 3600000000000u, 86400000000000u};
    uint64_t interval = parse_scaled(value, "smhd", factors, 1000000000u);
    if (interval > 0)
        settings.interval_ns = interval;
}

static void parse_depth(const char *value)
{
    uint64_t depth = string_number(value);
    settings.depth = depth < 1 ? DEPTH_DEFAULT : depth > DEPTH_MAX ? DEPTH_MAX : (uint32_t)depth;
}

/* Sets `choice` to the number of the word that `value` is; one of `count`. */
static void parse_choice(const char *value, const char *const *words, uint32_t count, uint32_t *choice)
{
    for (uint32_t i = 0; i < count; i++)
        if (string_equal(value, words[i]))
            *choice = i;
}

static void parse_python_memory(const char *value)
{
    parse_choice(value, (const char *const[]){"off", "sampled", "exact"}, 3, &settings.python_memory);
}

static void parse_sql(const char *value)
{
    parse_choice(value, (const char *const[]){"normalised", "text", "off"}, 3, &settings.sql);
}

/* Of a variable that switches something on or off. */
static bool parse_switch(const char *value)
{
    return *value && *value != '0' && (*value | 0x20) != 'n' && !string_equal(value, "off") && !string_equal(value, "false");
}

static const char *value_of(const char *variable, const char *name)
{
    return string_begins(variable, name) ? variable + string_length(name) : NULL;
}

/* Of the environment's block, until all of it is read. */
static const char *only, *pair;

static void parse_variable(const char *variable)
{
    const char *value;
    if ((value = value_of(variable, "STRAY_OUTPUT=")))
        copy_text(settings.folder, sizeof(settings.folder), value);
    else if ((value = value_of(variable, "STRAY_SPOOL=")))
        copy_text(settings.spool, sizeof(settings.spool), value);
    else if ((value = value_of(variable, "STRAY_MAX_SIZE=")))
        settings.max_bytes = parse_size(value);
    else if ((value = value_of(variable, "STRAY_INTERVAL=")))
        parse_interval(value);
    else if ((value = value_of(variable, "STRAY_DEPTH=")))
        parse_depth(value);
    else if ((value = value_of(variable, "STRAY_HEAP=")))
        settings.heap = !*value || parse_switch(value);
    else if ((value = value_of(variable, "STRAY_NO_HEAP=")))
        settings.heap = !parse_switch(value);
    else if ((value = value_of(variable, "STRAY_PYTHON_MEMORY=")))
        parse_python_memory(value);
    else if ((value = value_of(variable, "STRAY_SAMPLE=")))
        parse_sample(value);
    else if ((value = value_of(variable, "STRAY_SQL=")))
        parse_sql(value);
    else if ((value = value_of(variable, "STRAY_FULL=")))
        settings.full = parse_switch(value);
    else if ((value = value_of(variable, "STRAY_FOLLOW=")))
        settings.follow = !*value || (*value != TAKEN && parse_switch(value));
    else if ((value = value_of(variable, "STRAY_NO_FOLLOW=")))
        settings.follow = !parse_switch(value);
    else if ((value = value_of(variable, "STRAY_ONLY=")))
        only = value;
    else if ((value = value_of(variable, "STRAY_PAIR=")))
        pair = value;
    else if ((value = value_of(variable, "STRAY_PREVIOUS=")))
        parse_previous(value);
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

static void keep_variable(struct text *store, const char *variable, unsigned *count)
{
    if (*count == VARIABLES_MAX || string_begins(variable, "STRAY_PREVIOUS=") || string_begins(variable, SETTINGS_TRACE_PATH) ||
        string_begins(variable, SETTINGS_SPOOL_PATH))
        return;
    const char *copy = store->at + store->used + (store->used > 0);
    if (store->used > 0)
        store->used++; /* keep the NUL that ends the previous one */
    text_string(store, variable);
    if (!store->cut)
        variable_list[(*count)++] = copy;
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
        parse_variable(variable);
        root = string_begins(variable, "STRAY_ROOT=") ? variable + 11 : root;
        keep_variable(&store, variable, &count);
    }
    define_pairs();
    if (only)
        settings.only = parse_only(only);
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

const char *settings_root(void)
{
    return root_entry[0] ? root_entry : NULL;
}

const char *settings_library(void)
{
    return library;
}
