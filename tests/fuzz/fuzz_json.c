/* The strict JSON check: what it lets through as C strings, cJSON behind it can read too. */
#include <cjson/cJSON.h>

#include "fuzz.h"
#include "json.h"

static int passes(const char *text, size_t size, mf_json_rule rule)
{
    size_t where = 0;
    const char *fault = mf__json_check(text, size, rule, &where);

    fuzz_require(!fault || where <= size);
    return !fault;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    cJSON *tree;

    if (!passes(text, size, MF_JSON_ANY)) {
        fuzz_require(!passes(text, size, MF_JSON_C_STRINGS));
        return 0;
    }
    if (!passes(text, size, MF_JSON_C_STRINGS))
        return 0;
    tree = cJSON_ParseWithLength(text, size);
    fuzz_require(tree);
    cJSON_Delete(tree);
    return 0;
}
