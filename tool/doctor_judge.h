/*
 * doctor_judge: what the two files that judge share.
 */
#ifndef HAK_DOCTOR_JUDGE_H
#define HAK_DOCTOR_JUDGE_H

#include "doctor_words.h"

/* What a judgement is made from, and the verdict that it goes into. */
struct doctor_case {
    const struct doctor_system *system;
    const struct doctor_asked *asked;
    struct doctor_verdict *verdict;
};

/* HAKMEM_HUGE=hugetlb or auto: how many segments can be on hugetlb pages, and why not more. */
void doctor_judge_pool(const struct doctor_case *its);

#endif
