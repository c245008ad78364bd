// What indexes over landmark keys need of FAISS, as C: built by eng/build-faiss.sh, found by FaissLibrary.cs. Functions give null, or
// what went wrong, which stays good until the thread's next call.

#include <algorithm>
#include <exception>
#include <memory>
#include <string>

#include <omp.h>

#include <faiss/IndexHNSW.h>
#include <faiss/IndexIVF.h>
#include <faiss/index_factory.h>

#define LANDMARK_FAISS extern "C" __attribute__((visibility("default")))

namespace {

thread_local std::string failure;

// Callers have threads of their own, and a graph depends on the order in which it grows. If this OpenMP is one that the process shares,
// others get their threads back.
class OneThread {
public:
    OneThread() : threads(omp_get_max_threads()) { omp_set_num_threads(1); }
    ~OneThread() { omp_set_num_threads(threads); }

private:
    int threads;
};

template <typename Body>
const char* guarded(Body body) {
    OneThread alone;
    try {
        body();
        return nullptr;
    } catch (const std::exception& e) {
        failure = e.what();
    } catch (...) {
        failure = "an unknown error";
    }
    return failure.c_str();
}

} // namespace

// An index by FAISS's name of it, such as "IVF256,Flat", by inner product. `breadth` is what of it is searched: lists of an inverted
// file, candidates of a graph.
LANDMARK_FAISS const char* landmark_faiss_create(const char* name, int d, int breadth, void** index) {
    return guarded([&] {
        std::unique_ptr<faiss::Index> made(faiss::index_factory(d, name, faiss::METRIC_INNER_PRODUCT));
        if (auto* lists = dynamic_cast<faiss::IndexIVF*>(made.get())) {
            lists->nprobe = std::min<size_t>(breadth, lists->nlist);
            lists->cp.min_points_per_centroid = 1; // or it tells standard error that few keys are few
        }
        if (auto* graph = dynamic_cast<faiss::IndexHNSW*>(made.get())) graph->hnsw.efSearch = breadth;
        *index = made.release();
    });
}

// Keys are [n, d].
LANDMARK_FAISS const char* landmark_faiss_train(void* index, const float* keys, long n) {
    return guarded([&] { static_cast<faiss::Index*>(index)->train(n, keys); });
}

LANDMARK_FAISS const char* landmark_faiss_add(void* index, const float* keys, long n) {
    return guarded([&] { static_cast<faiss::Index*>(index)->add(n, keys); });
}

// The k best keys of each of n queries, [n, d]: numbers and scores are [n, k], -1 where there are fewer.
LANDMARK_FAISS const char* landmark_faiss_search(void* index, const float* queries, long n, long k, long* numbers, float* scores) {
    return guarded([&] { static_cast<faiss::Index*>(index)->search(n, queries, k, scores, numbers); });
}

LANDMARK_FAISS void landmark_faiss_free(void* index) { delete static_cast<faiss::Index*>(index); }
