/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "views/text_lines.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "safe.h"

#define PLAIN "\033[0m"

/* Bytes of `line` that fill at most `columns` as they are shown; no character is cut. */
static size_t fitting(const char *line, size_t columns)
{
    size_t bytes = 0, used = 0;
    while (line[bytes]) {
        bool harmless;
        size_t length = character_length(line + bytes, &harmless);
        used += character_columns(length, harmless);
        if (used > columns)
            return bytes;
        bytes += length;
    }
    return bytes;
}

static void put_character(FILE *out, const char *character, size_t length, bool harmless)
{
    if (harmless)
        fwrite(character, length, 1, out);
    for (size_t i = 0; i < length && !harmless; i++)
        fprintf(out, "\\x%02x", (unsigned char)character[i]);
}

void text_put(const struct page *page, const char *style, const char *line)
{
    size_t bytes = fitting(line, TEXT_WIDTH);
    bool cut = line[bytes] != '\0';
    if (cut)
        bytes = fitting(line, TEXT_WIDTH - 3);
    if (page->options->color && style)
        fputs(style, page->out);
    /* A name in a trace may hold anything; a terminal shall not obey it. */
    for (size_t i = 0, length; i < bytes; i += length) {
        bool harmless;
        length = character_length(line + i, &harmless);
        put_character(page->out, line + i, length, harmless);
    }
    fputs(cut ? "..." : "", page->out);
    if (page->options->color && style)
        fputs(PLAIN, page->out);
    fputc('\n', page->out);
}

void text_line(const struct page *page, const char *style, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    text_put(page, style, text);
}

void row_begin(struct row *row, const struct page *page, const char *indent, const char *start)
{
    row->page = page;
    row->indent = indent;
    snprintf(row->text, sizeof(row->text), "%s%s", indent, start);
}

void row_add(struct row *row, const char *separator, const char *part)
{
    size_t length = strlen(row->text);
    bool empty = length == strlen(row->indent);
    if (!empty && shown_columns(row->text) + strlen(separator) + shown_columns(part) > TEXT_WIDTH) {
        text_put(row->page, NULL, row->text);
        snprintf(row->text, sizeof(row->text), "%s%s", row->indent, part);
        return;
    }
    snprintf(row->text + length, sizeof(row->text) - length, "%s%s", empty ? "" : separator, part);
}

void row_end(struct row *row)
{
    if (strlen(row->text) > strlen(row->indent))
        text_put(row->page, NULL, row->text);
}

void row_words(struct row *row, const char *separator, const char *sentence)
{
    for (size_t length; *sentence; sentence += length + (sentence[length] == ' ')) {
        char word[256];
        length = strcspn(sentence, " ");
        snprintf(word, sizeof(word), "%.*s", (int)length, sentence);
        row_add(row, separator, word);
        separator = " ";
    }
}

/* ---- names and figures ---- */

const char *text_base_name(const char *path)
{
    const char *slash = path ? strrchr(path, '/') : NULL;
    return slash ? slash + 1 : path ? path : "?";
}

const char *text_mark(bool estimated)
{
    return estimated ? "~" : "";
}

const char *text_tail(const char *path, size_t columns)
{
    const char *from = path;
    bool harmless;
    for (size_t length, left = shown_columns(path); left > columns; from += length) {
        length = character_length(from, &harmless);
        left -= character_columns(length, harmless);
    }
    if (from == path)
        return path;
    const char *slash = strchr(from, '/');
    return slash && slash[1] ? slash + 1 : from;
}

int text_blank(const char *text, size_t columns)
{
    size_t filled = shown_columns(text);
    return filled < columns ? (int)(columns - filled) : 0;
}

void text_name_frame(const struct report_frame *frame, char *text, size_t size)
{
    if (frame->function && frame->python)
        snprintf(text, size, "%.160s()", frame->function);
    else if (frame->function)
        snprintf(text, size, "%.160s", frame->function);
    else
        snprintf(text, size, "%.120s+0x%" PRIx64, text_base_name(frame->module), frame->offset);
}

void text_frame(const struct report_frame *frame, char *text, size_t size)
{
    char name[256];
    text_name_frame(frame, name, sizeof(name));
    if (frame->file && frame->line)
        snprintf(text, size, "%.60s:%u %s", text_base_name(frame->file), frame->line, name);
    else
        snprintf(text, size, "%s", name);
}
