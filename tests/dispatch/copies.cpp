#include "report.hpp"

int main() { return report_ex() | report_nx() | report_other(); }
