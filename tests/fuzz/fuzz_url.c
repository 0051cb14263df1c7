/* URLs: whatever the text, it is refused with a reason, or has parts that can be read. */
#include <string.h>

#include <metafora/driver.h>

#include "fuzz.h"

static void read_parts(const mf_url *url)
{
    size_t length = strlen(url->scheme) + strlen(url->path);

    for (size_t i = 0; i < url->host_count; i++) {
        length += strlen(url->hosts[i].host);
        fuzz_require(url->hosts[i].port >= 0 && url->hosts[i].port <= 65535);
    }
    for (size_t i = 0; i < url->query_count; i++)
        length += strlen(url->query[i].key) + strlen(url->query[i].value);
    fuzz_require(length > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = (char *)malloc(size + 1);
    mf_broker_options options = MF_BROKER_OPTIONS_INIT;
    mf_error error = {0};
    mf_url url;
    int code;

    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    code = mf_url_parse(&url, text, &error);
    if (code == MF_OK) {
        read_parts(&url);
        code = mf_broker_options_from_url(&options, &url, NULL, &error);
        mf_url_clear(&url);
    }
    fuzz_require(code == MF_OK || (code == MF_EINVAL && error.text[0]));
    free(text);
    return 0;
}
