#include <stdbool.h>

int at_most(int value, int most);
int digits(unsigned value);
bool is_digit(int value);
int never_called(int value);
