// A part of landmark_backward_sm90.cu, which has the formulas and the sizes: what is done for each row of queries after it.
#ifndef LANDMARK_BACKWARD_ROWS
#define LANDMARK_BACKWARD_ROWS

// dQ from the parts' order of registers: one thread block a tile of queries, a thread for each two neighbouring columns.
extern "C" __global__ void landmark_query_gradient(
    const float *__restrict__ queryParts, T *__restrict__ queryGradient, const __grid_constant__ Shape shape)
{
    const int head = blockIdx.x / shape.queryTiles, tile = blockIdx.x % shape.queryTiles;
    const float *parts = queryParts + (long long)blockIdx.x * CHUNKS * PARTS;
    const int thread = threadIdx.x % 128;
    for (int i = threadIdx.x / 128; i < CHUNKS * 16; i += 2) {
        const int chunk = i / 16, j = i % 16 * 2;
        const int row = tile * ROWS + thread / 32 * 16 + thread % 32 / 4 + j / 2 % 2 * 8, column = chunk * 64 + j / 4 * 8 + thread % 4 * 2;
        if (row >= shape.queries || column >= D) continue;
        const float *at = parts + (chunk * 32 + j) * 128 + thread;
        *(u32 *)(queryGradient + ((long long)head * shape.queries + row) * D + column) = pack<T>(at[0] * shape.scale, at[128] * shape.scale);
    }
}

#endif
