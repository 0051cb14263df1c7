#include "sample.h"

int main(void)
{
    bool cut = at_most(3, 5) == 3 && at_most(7, 5) == 5;
    bool counted = digits(1000) == 4 && is_digit(9) && !is_digit(10);

    return cut && counted ? 0 : 1;
}
