/* The strict JSON check: what it lets through, the lenient parser behind it can read too. */
#include <cjson/cJSON.h>

#include "fuzz.h"
#include "json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t where = 0;
    const char *fault = mf__json_check((const char *)data, size, MF_JSON_ANY, &where);
    cJSON *tree;

    if (fault) {
        fuzz_require(where <= size);
        return 0;
    }
    tree = cJSON_ParseWithLength((const char *)data, size);
    fuzz_require(tree);
    cJSON_Delete(tree);
    return 0;
}
