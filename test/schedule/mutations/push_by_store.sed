# file: front/remote.c
# case: page__announced_beside_another__list_stays_whole
# A page becomes the head of the list without looking who was faster.
/^static void owner_notify/,/^}/ {
    /} while (!atomic_compare_exchange_weak/ {
        N
        s/.*/        atomic_store_explicit(\&owner->pending, page, memory_order_seq_cst);\n    } while (false);/
    }
}
