#!/bin/bash
# ctest: labels=real timeout=240
#
# git: a repository of some thousand objects is made, cloned, collected, checked and read.
# shellcheck source-path=SCRIPTDIR source=common.bash
source "$(dirname "$0")/common.bash"
needs git git

export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=$work/home/config GIT_TERMINAL_PROMPT=0
export GIT_AUTHOR_DATE='1700000000 +0000' GIT_COMMITTER_DATE='1700000000 +0000'
git config --file "$GIT_CONFIG_GLOBAL" user.name Tester
git config --file "$GIT_CONFIG_GLOBAL" user.email tester@example.org
git config --file "$GIT_CONFIG_GLOBAL" init.defaultBranch main
git config --file "$GIT_CONFIG_GLOBAL" gc.auto 0
git config --file "$GIT_CONFIG_GLOBAL" pack.threads 2

# 1 000 commits, each of which changes three of 400 files: some 5 000 objects.
awk 'BEGIN {
    for (i = 1; i <= 1000; i++) {
        message = sprintf("Change %d\n", i)
        printf "commit refs/heads/main\nmark :%d\n", i
        printf "committer Tester <tester@example.org> %d +0000\n", 1600000000 + i * 60
        printf "data %d\n%s\n", length(message), message
        if (i > 1)
            printf "from :%d\n", i - 1
        for (k = 0; k < 3; k++) {
            file = (i * 7 + k * 131) % 400
            text = ""
            for (line = 0; line < 40 + file; line++)
                text = text sprintf("%d: line %d %s\n", file, line, (line * 37) % 50 == i % 50 ? i : "same")
            printf "M 644 inline part%d/file%d.txt\ndata %d\n%s\n", file % 20, file, length(text), text
        }
        if (i % 100 == 0)
            printf "reset refs/tags/v%d\nfrom :%d\n\n", i / 100, i
    }
}' >"$work/import.in"

takes_malloc_from_library git --version
both init git init --quiet --bare source.git
both import git -C source.git fast-import --quiet
exited_with 0 import
both objects git -C source.git rev-list --objects --all
exited_with 0 objects
(($(wc -l <"$work/objects.plain.out") > 3000)) || problem "the repository has too few objects"
both clone git clone --no-local source.git clone
exited_with 0 clone
both repack git -C clone repack -a -d -f --depth=50 --window=20
both gc git -C clone gc --quiet --prune=now
exited_with 0 gc
both fsck git -C clone fsck --full --strict
exited_with 0 fsck
both cloned git -C clone rev-list --objects --all
cmp <(cut -d ' ' -f 1 "$work/objects.plain.out" | sort) \
    <(cut -d ' ' -f 1 "$work/cloned.preload.out" | sort) || problem "the clone has other objects"
both log git -C clone log --patch --stat -M v9..v10
both blame git -C clone blame part7/file7.txt
both grep git -C clone grep --threads=2 -n -E 'line [0-9]*7 [0-9]+'
both diff git -C clone diff --word-diff --patience v1 v10
both branch git -C clone checkout --quiet -b side v5
both pick git -C clone cherry-pick v9
both merge git -C clone merge --no-edit v4 v10
both archive git -C clone archive --format=tar.gz v10
both status git -C clone status --short --branch
finish
