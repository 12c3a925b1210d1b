// The functions that report.cpp becomes: with exceptions, without, and of another version.
#pragma once

int report_ex();
int report_nx();
int report_other();
