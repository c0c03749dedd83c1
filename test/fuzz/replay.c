/*
 * Calls a fuzz target with each file that is named, or that lies in a directory that is: what
 * libFuzzer would do with a corpus, without it. Each file has a process of its own, so that it
 * finds a target that was never used.
 *
 * Ends with 1 at the first that ends badly, and names it.
 */
#include <dirent.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fuzz.h"

#define INPUT_BYTES_MAX ((size_t)1 << 20)

static unsigned files;

static void replay_in_child(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = malloc(INPUT_BYTES_MAX);
    FUZZ_REQUIRE(file != NULL && data != NULL);
    size_t bytes = fread(data, 1, INPUT_BYTES_MAX, file);
    FUZZ_REQUIRE(fclose(file) == 0);
    uint8_t *exact = malloc(bytes + 1); /* so that a sanitizer sees who reads behind the end */
    FUZZ_REQUIRE(exact != NULL);
    uint8_t *start = exact + 1;
    memcpy(start, data, bytes);
    free(data);
    (void)LLVMFuzzerTestOneInput(start, bytes);
    free(exact);
}

static bool replay_file(const char *path)
{
    int status = -1;
    fflush(NULL);
    pid_t child = fork();
    FUZZ_REQUIRE(child >= 0);
    if (child == 0) {
        replay_in_child(path);
        _exit(0);
    }
    FUZZ_REQUIRE(waitpid(child, &status, 0) == child);
    files++;
    if (status != 0)
        fprintf(stderr, "replay: %s: status %#x\n", path, (unsigned)status);
    return status == 0;
}

static bool replay_directory(const char *path)
{
    struct dirent **entries;
    bool good = true;
    int count = scandir(path, &entries, NULL, alphasort);
    FUZZ_REQUIRE(count >= 0);
    for (int i = 0; i < count; i++) {
        char *name = NULL;
        if (good && entries[i]->d_name[0] != '.') {
            FUZZ_REQUIRE(asprintf(&name, "%s/%s", path, entries[i]->d_name) > 0);
            good = replay_file(name);
            free(name);
        }
        free(entries[i]);
    }
    free(entries);
    return good;
}

int main(int count, char **arguments)
{
    (void)LLVMFuzzerInitialize(&count, &arguments);
    for (int i = 1; i < count; i++) {
        struct stat about;
        if (stat(arguments[i], &about) != 0) {
            perror(arguments[i]);
            return 1;
        }
        if (!(S_ISDIR(about.st_mode) ? replay_directory : replay_file)(arguments[i]))
            return 1;
    }
    printf("%u inputs\n", files);
    return files == 0;
}
