/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "commands/sanitizer.h"

#include <gelf.h>
#include <stddef.h>
#include <string.h>

static const struct {
    const char *symbol, *name;
} runtimes[] = {
    {"__asan_init", "AddressSanitizer"},
    {"__hwasan_init", "HWAddressSanitizer"},
    {"__msan_init", "MemorySanitizer"},
    {"__tsan_init", "ThreadSanitizer"},
};

static const char *named_by(const char *symbol)
{
    for (size_t i = 0; symbol && i < sizeof(runtimes) / sizeof(*runtimes); i++)
        if (strcmp(symbol, runtimes[i].symbol) == 0)
            return runtimes[i].name;
    return NULL;
}

static const char *look_in(Elf *elf, Elf_Scn *section, const GElf_Shdr *header)
{
    Elf_Data *data = elf_getdata(section, NULL);
    const char *found = NULL;
    GElf_Sym symbol;
    for (int i = 0; data && !found && gelf_getsym(data, i, &symbol); i++)
        found = named_by(elf_strptr(elf, header->sh_link, symbol.st_name));
    return found;
}

/* Of the dynamic symbols: both those of a runtime in the executable and those that a shared one is asked for. */
const char *sanitizer_of(int fd)
{
    elf_version(EV_CURRENT);
    Elf *elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
    const char *found = NULL;
    Elf_Scn *section = NULL;
    while (elf && !found && (section = elf_nextscn(elf, section))) {
        GElf_Shdr header;
        if (gelf_getshdr(section, &header) && header.sh_type == SHT_DYNSYM)
            found = look_in(elf, section, &header);
    }
    elf_end(elf);
    return found;
}
