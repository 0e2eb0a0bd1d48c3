#pragma once
/* Nothing is called: the signals that ask a run to end are held from the process's first moment. */
