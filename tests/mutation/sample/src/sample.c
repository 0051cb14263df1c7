#include "sample.h"

int at_most(int value, int most)
{
    if (value > most)
        return most;
    return value;
}

int digits(unsigned value)
{
    int count = 1;

    while (value >= 10) {
        value /= 10;
        count++;
    }
    return count;
}

bool is_digit(int value)
{
    if (value < 10)
        return true;
    return false;
}

int never_called(int value)
{
    return value + 1;
}
