int at_most(int value, int most);
int digits(unsigned value);
int never_called(int value);
