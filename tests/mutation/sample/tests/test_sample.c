#include "sample.h"

int main(void)
{
    return at_most(3, 5) == 3 && at_most(7, 5) == 5 && digits(1000) == 4 && is_digit(9) &&
                   !is_digit(10)
               ? 0
               : 1;
}
