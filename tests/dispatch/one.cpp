#include "report.hpp"

int main() { return report_ex(); }
