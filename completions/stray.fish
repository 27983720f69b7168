# SPDX-License-Identifier: LGPL-2.1-or-later
# Completion of stray for fish. Verbs and options are what `stray help` says, so this need not change when they do.

function __stray_verbs
    stray help 2>/dev/null | string replace -rf '^  stray ([a-z]+).*?  +(\S.*)$' '$1\t$2'
end

function __stray_options
    set -l words (commandline -opc)
    stray $words[2] --help 2>/dev/null | string match -ra -- '(?:^| |\()(--?[a-z][a-z-]*)' | string match -r -- '^--?[a-z].*' | sort -u
end

function __stray_values
    set -l words (commandline -opc)
    switch $words[-1]
        case --format
            stray $words[2] --help 2>/dev/null | string match -rg -- '--format ([a-z|]+)' | head -n 1 | string split '|'
        case --to
            stray $words[2] --help 2>/dev/null | string match -rg -- '^  --to ([a-z]+) '
        case --python-memory
            printf '%s\n' sampled exact off
        case --pair
            printf '%s\n' openssl sqlite curl hiredis libxml2 zlib mysql
        case --sql
            printf '%s\n' normalised text off
        case --weight
            printf '%s\n' opened open bytes
    end
end

complete -c stray -n __fish_is_first_arg -f -a '(__stray_verbs)'
complete -c stray -n '__fish_seen_subcommand_from help' -f -a '(__stray_verbs)'
complete -c stray -n 'string match -q -- "-*" (commandline -ct)' -a '(__stray_options)'
complete -c stray -n 'test -n "(__stray_values)"' -f -a '(__stray_values)'
